"""Reviews as they are read: one's own, those that everybody sees, those for support."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import func

from db import catalogue_tables, review_tables
from domain.refusal import NotFound
from domain.review import Opinion, ReviewState, Weight

_p = catalogue_tables.products.c
_r = review_tables.reviews.c
_a = review_tables.product_ratings.c


class Review(msgspec.Struct, frozen=True):
    """A review and all that is known of it; `reason` says why it is rejected.

    Its version grows with each change, and is given to no other review before or after.
    """

    id: UUID
    product_id: UUID
    product: str  # its slug
    stars: int
    title: str | None
    text: str | None
    author: str | None
    state: ReviewState
    reason: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    user_id: UUID
    order_id: UUID
    moderated_by: UUID | None
    moderated_at: datetime | None

    @property
    def opinion(self) -> Opinion:
        """Give what its author says."""
        return Opinion(self.stars, self.title, self.text, self.author)


class Order(StrEnum):
    NEWEST = "newest"
    HIGHEST = "highest"  # of equal stars the newest first
    LOWEST = "lowest"  # of equal stars the oldest first


class Place(msgspec.Struct, frozen=True):
    """Where in a list a review stands."""

    stars: int
    id: UUID


async def product_id(tx: AsyncConnection, slug: str, *, shown: bool = False) -> UUID | None:
    """Find a product; only one that everybody sees, if it has to be `shown`."""
    query = select(_p.id).where(_p.slug == slug)
    if shown:
        query = query.where(
            _p.status == "active", _p.published_at <= func.now(), _p.deleted_at.is_(None)
        )
    return await tx.scalar(query)


async def find_own(tx: AsyncConnection, product_id: UUID, user_id: UUID) -> Review | None:
    """Read somebody's review of a product."""
    found = await _read(tx, _REVIEW.where(_r.product_id == product_id, _r.user_id == user_id))
    return found[0] if found else None


async def get(tx: AsyncConnection, review_id: UUID) -> Review:
    """Read a review; raises NotFound."""
    found = await _read(tx, _REVIEW.where(_r.id == review_id))
    if not found:
        raise NotFound(f"There is no review {review_id}.")
    return found[0]


async def rating(tx: AsyncConnection, product_id: UUID) -> Weight:
    """Read how many reviews a product has, with how many stars in all."""
    query = select(_a.reviews, _a.stars).where(_a.product_id == product_id)
    row = (await tx.execute(query)).one_or_none()
    return Weight() if row is None else Weight(*row)


async def page(  # noqa: PLR0913 - a list is narrowed, ordered and cut
    tx: AsyncConnection,
    product_id: UUID,
    order: Order,
    *,
    stars: int | None,
    after: Place | None,
    limit: int,
) -> list[Review]:
    """List the reviews of a product that everybody sees, from just behind `after` on."""
    query = _REVIEW.where(_r.product_id == product_id, _r.state == ReviewState.PUBLISHED.value)
    if stars is not None:
        query = query.where(_r.stars == stars)
    match order:
        case Order.NEWEST:
            query = query.order_by(_r.id.desc())
            ahead = None if after is None else _r.id < after.id
        case Order.HIGHEST:
            query = query.order_by(_r.stars.desc(), _r.id.desc())
            ahead = None if after is None else _stands < tuple_(after.stars, after.id)
        case Order.LOWEST:
            query = query.order_by(_r.stars, _r.id)
            ahead = None if after is None else _stands > tuple_(after.stars, after.id)
    if ahead is not None:
        query = query.where(ahead)
    return await _read(tx, query.limit(limit))


async def page_to_moderate(
    tx: AsyncConnection,
    *,
    state: ReviewState,
    product: str | None,
    after: int | None,
    limit: int,
) -> list[Review]:
    """List reviews for support, those that wait longest first, from just behind `after` on."""
    query = _REVIEW.where(_r.state == state.value).order_by(_r.version).limit(limit)
    if product is not None:
        query = query.where(_p.slug == product)
    if after is not None:
        query = query.where(_r.version > after)
    return await _read(tx, query)


async def of_author(tx: AsyncConnection, user_id: UUID, *, limit: int) -> Sequence[Review]:
    """List what somebody wrote, newest first."""
    return await _read(tx, _REVIEW.where(_r.user_id == user_id).order_by(_r.id.desc()).limit(limit))


_stands = tuple_(_r.stars, _r.id)
_REVIEW = select(
    *(
        _p.slug.label("product") if name == "product" else _r[name]
        for name in Review.__struct_fields__
    )
).join_from(review_tables.reviews, catalogue_tables.products, _p.id == _r.product_id)


async def _read(tx: AsyncConnection, query: Select[Any]) -> list[Review]:
    rows = (await tx.execute(query)).mappings()
    return [msgspec.convert(dict(row), Review) for row in rows]
