"""Reviews over HTTP: read by everybody, written by who bought the product."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, delete, get, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api import conditional, pages
from api.authentication import Asked
from api.fields import SlugInPath
from api.openapi import answered
from api.problems import InvalidCursor
from api.proof import asker
from db import review_pages, reviews
from db.engine import name_commit
from db.review_pages import Order, Place, Review
from domain.refusal import NotFound
from domain.review import Author, Opinion, Prose, ReviewState, Stars, Title, Weight
from ops.telemetry.faultpoint import Commit

# The digit of an id that says its version stands in the way of nothing in a place of a list.
_DIGIT_AT, _DIGIT, _OF_AN_ID = 76, 0xF, 7


class PutReview(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one thinks of a product; `author` is the name that everybody sees, if any is given.

    Text is plain text: whoever shows it escapes it.
    """

    stars: Stars
    title: Title | None = None
    text: Prose | None = None
    author: Author | None = None


class PublicReview(msgspec.Struct, frozen=True):
    """A review as everybody sees it; who wrote it bought the product."""

    id: UUID
    stars: int
    title: str | None
    text: str | None
    author: str | None
    created_at: datetime
    updated_at: datetime


class OwnReview(PublicReview, frozen=True):
    """One's own review; everybody sees it once it is published, `reason` says why it is not."""

    product: str
    state: ReviewState
    reason: str | None
    version: int


class Rating(msgspec.Struct, frozen=True):
    """What the published reviews of a product come to; no average without any."""

    reviews: int
    average: float | None


class ReviewPage(msgspec.Struct, frozen=True):
    """A part of the list; the Link header leads to the next one. The rating is of all."""

    rating: Rating
    reviews: list[PublicReview]


@get("")
async def list_reviews(  # noqa: PLR0913, PLR0917 - a list is narrowed, ordered and cut
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    slug: SlugInPath,
    sort: Annotated[Order, QueryParameter()] = Order.NEWEST,
    stars: Annotated[int | None, QueryParameter(ge=1, le=5)] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> Response[ReviewPage]:
    """List the reviews of a product that are published."""
    product_id = await review_pages.product_id(tx, slug, shown=True)
    if product_id is None:
        raise NotFound(f"There is no product {slug}.")
    after = None if cursor is None else _read_place(cursor, sort)
    found = await review_pages.page(tx, product_id, sort, stars=stars, after=after, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, _place(shown[-1], sort)) if len(found) > limit else {}
    of_all = rating(await review_pages.rating(tx, product_id))
    return Response(ReviewPage(of_all, [_public(each) for each in shown]), headers=headers)


@get("/mine")
async def get_own_review(
    request: Asked, tx: NamedDependency[AsyncConnection], slug: SlugInPath
) -> Response[OwnReview]:
    """Read one's own review."""
    user_id, _ = asker(request)
    product_id = await review_pages.product_id(tx, slug)
    found = product_id and await review_pages.find_own(tx, product_id, user_id)
    if not found:
        raise NotFound(f"You have written no review of {slug}.")
    return conditional.show(request, own(found), version=found.version)


@put(
    "/mine",
    responses={HTTPStatus.CREATED: answered(OwnReview, "Created.")},
)
async def put_own_review(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    state: State,
    slug: SlugInPath,
    data: JSONBody[PutReview],
) -> Response[OwnReview]:
    """Write or change one's review of a product that one bought; the same again changes nothing.

    With REVIEWS_MODERATED it is shown once support has read it, after a change again. 403 for
    who has not bought it, or got all the money back.
    """
    user_id, _ = asker(request)
    said = Opinion(data.stars, data.title, data.text, data.author)
    name_commit(tx, Commit.REVIEW)
    moderated = state.settings.reviews_moderated
    was, now = await reviews.put(tx, slug, user_id, said, moderated=moderated)
    # What it replaced is known only now. If that is not what was wanted, nothing is committed.
    conditional.check(request, version=was and was.version)
    answer = conditional.show(request, own(now), version=now.version)
    answer.status_code = HTTPStatus.CREATED if was is None else HTTPStatus.OK
    return answer


@delete("/mine", status_code=HTTPStatus.NO_CONTENT)
async def delete_own_review(
    request: Asked, tx: NamedDependency[AsyncConnection], slug: SlugInPath
) -> None:
    """Delete one's own review; again is the same."""
    user_id, _ = asker(request)
    name_commit(tx, Commit.REVIEW)
    was = await reviews.remove(tx, slug, user_id)
    conditional.check(request, version=was and was.version)


def rating(weight: Weight) -> Rating:
    """Write what reviews come to."""
    return Rating(weight.reviews, weight.average)


def own(review: Review) -> OwnReview:
    """Write a review for who wrote it."""
    return msgspec.convert(review, OwnReview, from_attributes=True)


def _public(review: Review) -> PublicReview:
    return msgspec.convert(review, PublicReview, from_attributes=True)


def _place(review: Review, sort: Order) -> UUID:
    """Write a place as an id, with the stars in it if the list is in their order."""
    if sort is Order.NEWEST:
        return review.id
    return _with_digit(review.id, review.stars)


def _read_place(cursor: str, sort: Order) -> Place:
    """Read a cursor; raises InvalidCursor for one of a list in another order."""
    written = pages.decode(cursor)
    digit = written.int >> _DIGIT_AT & _DIGIT
    if (digit == _OF_AN_ID) != (sort is Order.NEWEST):
        raise InvalidCursor("The cursor is of a list in another order.", field="cursor")
    return Place(digit, _with_digit(written, _OF_AN_ID))


def _with_digit(place: UUID, digit: int) -> UUID:
    return UUID(int=place.int & ~(_DIGIT << _DIGIT_AT) | digit << _DIGIT_AT)


router = Router(
    "/v1/products/{slug:str}/reviews",
    route_handlers=[list_reviews, get_own_review, put_own_review, delete_own_review],
    tags=["reviews"],
)
