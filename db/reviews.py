"""Reviews as they are written: by who bought the product, read by support, counted exactly.

Whoever writes a review holds the row of its product's rating until the transaction ends, several
in order of their ids. So no review changes meanwhile, and the rating moves by what it changed.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import invalidations, review_pages, users
from db.engine import fetch, run
from db.ids import new_id
from db.review_pages import Review
from domain.refusal import NotFound
from domain.review import (
    BOUGHT,
    NotBought,
    Opinion,
    ReviewState,
    Weight,
    state_of_writing,
    weight,
)


class _Reviewed(msgspec.Struct):
    id: UUID
    slug: str


async def put(
    tx: AsyncConnection, slug: str, user_id: UUID, said: Opinion, *, moderated: bool
) -> tuple[Review | None, Review]:
    """Write or change one's review of a product; the same again changes nothing.

    What somebody bought is looked at when they write, not when they change it: the SKUs of their
    orders as products have them now. Returns it as it was, and as it is. Raises NotFound, or
    NotBought.
    """
    product_id = await review_pages.product_id(tx, slug, shown=True)
    if product_id is None:
        raise NotFound(f"There is no product {slug}.")
    await users.stay(tx, user_id)
    await _hold(tx, [product_id])
    was = await review_pages.find_own(tx, product_id, user_id)
    if was is not None and was.opinion == said:
        return was, was
    order_id = await _purchase(tx, product_id, user_id) if was is None else was.order_id
    state = state_of_writing(was and was.state, moderated=moderated)
    of = {"product_id": product_id, "user_id": user_id, "order_id": order_id}
    now = await _write(tx, {**of, "state": state.value, **msgspec.structs.asdict(said)})
    await _count(tx, product_id, was, now)
    return was, now


async def _write(tx: AsyncConnection, columns: Mapping[str, object]) -> Review:
    """Write a review, the only one of its author and product."""
    [review_id] = await fetch(
        tx,
        UUID,
        """
        INSERT INTO reviews (id, product_id, user_id, order_id, stars, title, text, author, state)
        VALUES (%(id)s, %(product_id)s, %(user_id)s, %(order_id)s, %(stars)s, %(title)s, %(text)s,
                %(author)s, %(state)s)
        ON CONFLICT (user_id, product_id) DO UPDATE
        SET stars = excluded.stars, title = excluded.title, text = excluded.text,
            author = excluded.author, state = excluded.state, reason = NULL, moderated_by = NULL,
            moderated_at = NULL, version = nextval('review_versions'), updated_at = now()
        RETURNING id::text
        """,
        {"id": new_id(), **columns},
    )
    return await review_pages.get(tx, review_id)


async def remove(tx: AsyncConnection, slug: str, user_id: UUID) -> Review | None:
    """Delete one's review of a product, on sale or not; returns what there was."""
    product_id = await review_pages.product_id(tx, slug)
    if product_id is None or await review_pages.find_own(tx, product_id, user_id) is None:
        return None
    await _hold(tx, [product_id])
    was = await review_pages.find_own(tx, product_id, user_id)
    if was is not None:
        await run(tx, "DELETE FROM reviews WHERE id = %(id)s", {"id": was.id})
        await _count(tx, product_id, was, None)
    return was


async def decide(
    tx: AsyncConnection, review_id: UUID, *, publish: bool, reason: str | None, by: UUID | None
) -> tuple[Review, Review]:
    """Publish or reject a review for support; the same again changes nothing.

    Returns it as it was, and as it is. Raises NotFound.
    """
    product_id = (await review_pages.get(tx, review_id)).product_id
    await _hold(tx, [product_id])
    was = await review_pages.get(tx, review_id)
    state = ReviewState.PUBLISHED if publish else ReviewState.REJECTED
    if (was.state, was.reason) == (state, reason):
        return was, was
    await run(
        tx,
        """
        UPDATE reviews SET state = %(state)s, reason = %(reason)s, moderated_by = %(by)s,
            moderated_at = now(), version = nextval('review_versions')
        WHERE id = %(id)s
        """,
        {"id": review_id, "state": state.value, "reason": reason, "by": by},
    )
    now = await review_pages.get(tx, review_id)
    await _count(tx, product_id, was, now)
    return was, now


async def erase(tx: AsyncConnection, user_id: UUID) -> None:
    """Delete all that somebody wrote; the caller holds the account's row, so nothing is added."""
    found = await fetch(
        tx,
        _Reviewed,
        """
        SELECT p.id, p.slug FROM reviews r JOIN catalogue_products p ON p.id = r.product_id
        WHERE r.user_id = %(id)s
        """,
        {"id": user_id},
    )
    await _hold(tx, [product.id for product in found])
    await invalidations.touch(tx, [f"rating:{product.slug}" for product in found])
    await run(
        tx,
        """
        WITH gone AS (
            DELETE FROM reviews WHERE user_id = %(id)s RETURNING product_id, stars, state
        )
        UPDATE product_ratings r SET reviews = r.reviews - 1, stars = r.stars - gone.stars
        FROM gone WHERE r.product_id = gone.product_id AND gone.state = 'published'
        """,
        {"id": user_id},
    )


async def _hold(tx: AsyncConnection, product_ids: Sequence[UUID]) -> None:
    """Hold the ratings of products, in order, until the transaction ends."""
    params = {"ids": sorted(product_ids)}
    await run(
        tx,
        """
        INSERT INTO product_ratings (product_id)
        SELECT id FROM unnest(%(ids)b::uuid[]) AS id ORDER BY id
        ON CONFLICT DO NOTHING
        """,
        params,
    )
    await run(
        tx,
        """
        SELECT FROM product_ratings WHERE product_id = ANY (%(ids)b::uuid[])
        ORDER BY product_id FOR NO KEY UPDATE
        """,
        params,
    )


async def _purchase(tx: AsyncConnection, product_id: UUID, user_id: UUID) -> UUID:
    """Find the last order by which somebody bought a product; raises NotBought."""
    found = await fetch(
        tx,
        UUID,
        """
        SELECT o.id::text FROM orders o
        WHERE o.user_id = %(user_id)s AND o.status = ANY (%(bought)b::text[])
          AND EXISTS (SELECT FROM order_lines l JOIN variants v ON v.sku = l.sku
                      WHERE l.order_id = o.id AND v.product_id = %(product_id)s)
          AND o.total_minor > (SELECT coalesce(sum(a.amount_minor), 0) FROM payment_attempts a
                               WHERE a.order_id = o.id AND a.kind = 'refund'
                                 AND a.state = 'succeeded')
        ORDER BY o.id DESC LIMIT 1
        """,
        {"user_id": user_id, "product_id": product_id, "bought": [*BOUGHT]},
    )
    if not found:
        raise NotBought("Only who bought it, and has not got all the money back, can review it.")
    return found[0]


async def _count(
    tx: AsyncConnection, product_id: UUID, was: Review | None, now: Review | None
) -> None:
    """Move the rating of a product, which is held, by what a review changed."""
    shown = {each.product for each in (was, now) if each and each.state is ReviewState.PUBLISHED}
    await invalidations.touch(tx, [f"rating:{slug}" for slug in shown])
    moved = _weight(now) - _weight(was)
    if moved == Weight():
        return
    await run(
        tx,
        """
        UPDATE product_ratings SET reviews = reviews + %(reviews)s, stars = stars + %(stars)s
        WHERE product_id = %(product_id)s
        """,
        {"product_id": product_id, "reviews": moved.reviews, "stars": moved.stars},
    )


def _weight(review: Review | None) -> Weight:
    return Weight() if review is None else weight(review.state, review.stars)
