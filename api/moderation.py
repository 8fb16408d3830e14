"""Moderation over HTTP: support reads what customers wrote, and publishes or rejects it."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional, pages
from api.authentication import Asked
from api.problems import InvalidRequest
from db import review_pages, reviews
from db.engine import name_commit
from db.review_pages import Review
from domain.catalogue import SLUG, SLUG_CHARS_MAX
from domain.review import REASON_CHARS_MAX, ReviewState
from domain.text import ON_ONE_LINE, ONE_LINE
from ops.telemetry.faultpoint import Commit


class ModerationPage(msgspec.Struct, frozen=True):
    """A part of the list; the Link header leads to the next one."""

    reviews: list[Review]


class Moderate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether everybody may see it; if not, why, which its author reads."""

    state: Literal["published", "rejected"]
    reason: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=REASON_CHARS_MAX,
                pattern=ONE_LINE,
                description=ON_ONE_LINE,
            ),
        ]
        | None
    ) = None


@get("")
async def list_reviews_to_moderate(  # noqa: PLR0913, PLR0917 - one parameter per filter
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    in_state: Annotated[ReviewState, QueryParameter(name="state")] = ReviewState.PENDING,
    product: Annotated[str | None, QueryParameter(pattern=SLUG, max_length=SLUG_CHARS_MAX)] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[ModerationPage]:
    """List reviews of any product, those that wait longest first."""
    after = None if cursor is None else pages.decode_number(cursor)
    found = await review_pages.page_to_moderate(
        tx, state=in_state, product=product, after=after, limit=limit + 1
    )
    shown = found[:limit]
    headers = pages.link(request, UUID(int=shown[-1].version)) if len(found) > limit else {}
    return Response(ModerationPage(shown), headers=headers)


@get("/{review_id:uuid}")
async def get_review(
    request: Asked, tx: NamedDependency[AsyncConnection], review_id: FromPath[UUID]
) -> Response[Review]:
    """Read a review and what is known of it."""
    found = await review_pages.get(tx, review_id)
    return conditional.show(request, found, version=found.version)


@put("/{review_id:uuid}/moderation")
async def moderate_review(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    review_id: FromPath[UUID],
    data: JSONBody[Moderate],
) -> Response[Review]:
    """Publish a review, or reject it with a reason; the same again changes nothing.

    With `If-Match` nothing is published that its author changed since it was read.
    """
    publish = data.state == ReviewState.PUBLISHED
    if publish == (data.reason is not None):
        raise InvalidRequest("Give a reason if it is rejected, and only then.", field="reason")
    name_commit(tx, Commit.REVIEW)
    by = request.user.user_id
    was, now = await reviews.decide(tx, review_id, publish=publish, reason=data.reason, by=by)
    # What it was is known for sure only now. If it is not what was read, nothing is committed.
    conditional.check(request, version=was.version)
    if was != now:
        facts = [{"state": each.state, "reason": each.reason} for each in (was, now)]
        await audit.record(
            tx, request, "review.moderate", review_id, before=facts[0], after=facts[1]
        )
    return conditional.show(request, now, version=now.version)


router = Router(
    "/v1/reviews",
    route_handlers=[list_reviews_to_moderate, get_review, moderate_review],
    tags=["reviews"],
)
