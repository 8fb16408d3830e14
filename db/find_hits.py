"""A page of what a search found, in order, as it is shown."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from db.finding import Matched
from db.offers import BEST_ENTRY
from domain.highlight import Mark, marked, snippet
from domain.search import Hit

# Nobody looks further into a description for the reason of a hit.
_DESCRIPTION_CHARS_MAX = 5_000


_SHOWN: LiteralString = f"""
    SELECT d.product_id, p.slug, p.name, c.slug,
           CASE jsonb_typeof(p.images -> 0) WHEN 'object' THEN p.images -> 0 ->> 'url'
                ELSE p.images ->> 0 END,
           o.price_minor, CASE WHEN o.price_minor IS NOT NULL THEN w.currency END,
           coalesce(o.available, false), d.stars, d.reviews, d.published_at,
           left(p.description, %(description)s)
    FROM search_documents d JOIN catalogue_products p ON p.id = d.product_id
    LEFT JOIN categories c ON c.id = p.category_id AND c.deleted_at IS NULL
    CROSS JOIN LATERAL (SELECT coalesce(%(currency)s, d.currency) AS currency) AS w
    LEFT JOIN LATERAL (
        SELECT min(coalesce(b.price_minor,
                            CASE v.currency WHEN w.currency THEN v.price_minor END)) AS price_minor,
               bool_or(s.on_hand > s.reserved + s.backordered) AS available
        FROM variants v LEFT JOIN stock s USING (sku)
        LEFT JOIN LATERAL ({BEST_ENTRY}) AS b ON true
        WHERE v.product_id = d.product_id AND v.active
    ) AS o ON true
    WHERE d.product_id = ANY (%(ids)b::uuid[])
    """  # noqa: S608 - texts of ours alone


class _Row(msgspec.Struct):
    product_id: UUID
    slug: str
    name: str
    category: str | None
    image: str | None
    price_minor: int | None
    currency: str | None
    available: bool
    stars: int | None
    reviews: int
    published_at: datetime
    description: str


async def show(tx: AsyncConnection, matched: Matched, ids: Sequence[UUID]) -> list[Hit]:
    """Read products as they are shown: with today's price and stock, and marked, in that order."""
    given = {
        "ids": list(ids),
        "currency": matched.scope.wanted.currency,
        "description": _DESCRIPTION_CHARS_MAX,
    }
    rows = {row.product_id: row for row in await fetch(tx, _Row, _SHOWN, given)}
    marks = [
        Mark(term.word, term.stem, term.prefix, [meant.word for meant in term.meant])
        for term in matched.terms
    ]
    return [_hit(rows[each], marks) for each in ids if each in rows]


def _hit(row: _Row, marks: list[Mark]) -> Hit:
    return Hit(
        slug=row.slug,
        name=row.name,
        category=row.category,
        image=row.image,
        price_minor=row.price_minor,
        currency=row.currency,
        available=row.available,
        rating=None if row.stars is None else row.stars / 100,
        reviews=row.reviews,
        published_at=row.published_at,
        highlight=marked(row.name, marks),
        snippet=snippet(row.description, marks),
    )
