"""Many at once: what queries that go from one thing to another read, a statement for each step."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from db.offers import IS_PUBLIC
from db.review_pages import Order
from domain.review import Weight

_ORDERS: Mapping[Order, LiteralString] = {
    Order.NEWEST: "r.id DESC",
    Order.HIGHEST: "r.stars DESC, r.id DESC",
    Order.LOWEST: "r.stars, r.id",
}


class Item(msgspec.Struct, frozen=True):
    """A product by its id, as others refer to it, with what is asked for most."""

    id: UUID
    slug: str
    name: str
    description: str
    category: UUID | None
    attributes: dict[str, object]
    images: list[dict[str, str]]
    status: str
    published_at: datetime | None


class Said(msgspec.Struct, frozen=True):
    """A review that everybody sees."""

    product: str
    id: UUID
    stars: int
    title: str | None
    text: str | None
    author: str | None
    created_at: datetime


_ITEM: LiteralString = """
    p.id, p.slug, p.name, p.description, p.category_id, p.attributes, p.images, p.status,
    p.published_at
    """
_SEEN: LiteralString = f"p.deleted_at IS NULL AND (NOT %(public)s OR ({IS_PUBLIC}))"


async def items(tx: AsyncConnection, slugs: Sequence[str], *, public: bool) -> list[Item]:
    """Read products by their slugs, those that the asker may see."""
    return await fetch(
        tx,
        _item,
        f"""
        SELECT {_ITEM} FROM catalogue_products p WHERE p.slug = ANY (%(slugs)b::text[]) AND {_SEEN}
        """,  # noqa: S608 - texts of ours alone
        {"slugs": list(slugs), "public": public},
    )


async def page(
    tx: AsyncConnection,
    categories: Sequence[UUID] | None,
    *,
    public: bool,
    before: UUID | None,
    limit: int,
) -> list[Item]:
    """List products, newest first, from just before `before` on: all, or of some categories."""
    query: LiteralString = f"SELECT {_ITEM} FROM catalogue_products p WHERE {_SEEN}"  # noqa: S608 - as above
    if categories is not None:
        query += " AND p.category_id = ANY (%(categories)b::uuid[])"
    if before is not None:
        query += " AND p.id < %(before)s"
    query += " ORDER BY p.id DESC LIMIT %(limit)s"
    given = {
        "categories": list(categories or ()),
        "before": before,
        "limit": limit,
        "public": public,
    }
    return await fetch(tx, _item, query, given)


async def newest(
    tx: AsyncConnection, below: Mapping[UUID, Sequence[UUID]], *, public: bool, limit: int
) -> dict[UUID, list[Item]]:
    """Read the newest products of each of several categories, by what lies below each."""
    pairs = [(category, each) for category, ids in below.items() for each in ids]
    rows = await fetch(
        tx,
        _of_category,
        f"""
        SELECT w.category, t.* FROM (
            SELECT category, array_agg(below) AS ids
            FROM unnest(%(categories)b::uuid[], %(below)b::uuid[]) AS u (category, below)
            GROUP BY category
        ) AS w CROSS JOIN LATERAL (
            SELECT {_ITEM} FROM catalogue_products p
            WHERE p.category_id = ANY (w.ids) AND {_SEEN} ORDER BY p.id DESC LIMIT %(limit)s
        ) AS t
        """,  # noqa: S608 - texts of ours alone
        {
            "categories": [category for category, _ in pairs],
            "below": [each for _, each in pairs],
            "limit": limit,
            "public": public,
        },
    )
    found: dict[UUID, list[Item]] = {category: [] for category in below}
    for category, item in rows:
        found[category].append(item)
    return found


async def products_of(tx: AsyncConnection, skus: Sequence[str], *, public: bool) -> dict[str, str]:
    """Find the slugs of the products that variants are of, by SKU."""
    rows = await fetch(
        tx,
        _Pair,
        f"""
        SELECT v.sku, p.slug FROM variants v JOIN catalogue_products p ON p.id = v.product_id
        WHERE v.sku = ANY (%(skus)b::text[]) AND {_SEEN}
        """,  # noqa: S608 - texts of ours alone
        {"skus": list(skus), "public": public},
    )
    return {row.sku: row.slug for row in rows}


async def ratings(tx: AsyncConnection, slugs: Sequence[str]) -> dict[str, Weight]:
    """Read how many reviews products have, with how many stars, by slug."""
    rows = await fetch(
        tx,
        _Rated,
        """
        SELECT p.slug, r.reviews, r.stars
        FROM product_ratings r JOIN catalogue_products p ON p.id = r.product_id
        WHERE p.slug = ANY (%(slugs)b::text[])
        """,
        {"slugs": list(slugs)},
    )
    return {row.slug: Weight(row.reviews, row.stars) for row in rows}


async def reviews(
    tx: AsyncConnection, slugs: Sequence[str], order: Order, *, limit: int
) -> list[Said]:
    """Read the first reviews of each of several products, that everybody sees."""
    return await fetch(
        tx,
        Said,
        f"""
        SELECT p.slug, t.* FROM catalogue_products p CROSS JOIN LATERAL (
            SELECT r.id, r.stars, r.title, r.text, r.author, r.created_at FROM reviews r
            WHERE r.product_id = p.id AND r.state = 'published'
            ORDER BY {_ORDERS[order]} LIMIT %(limit)s
        ) AS t
        WHERE p.slug = ANY (%(slugs)b::text[])
        """,  # noqa: S608 - texts of ours alone
        {"slugs": list(slugs), "limit": limit},
    )


async def costs(tx: AsyncConnection, skus: Sequence[str]) -> dict[str, int | None]:
    """Read what variants cost the shop, by SKU."""
    rows = await fetch(
        tx,
        _Cost,
        "SELECT sku, cost_minor FROM variants WHERE sku = ANY (%(skus)b::text[])",
        {"skus": list(skus)},
    )
    return {row.sku: row.cost_minor for row in rows}


class _Pair(msgspec.Struct):
    sku: str
    slug: str


class _Rated(msgspec.Struct):
    slug: str
    reviews: int
    stars: int


class _Cost(msgspec.Struct):
    sku: str
    cost_minor: int | None


def _of_category(category: UUID, *columns: object) -> tuple[UUID, Item]:
    return category, _item(*columns)


def _item(*columns: object) -> Item:
    return msgspec.convert(dict(zip(Item.__struct_fields__, columns, strict=True)), Item)
