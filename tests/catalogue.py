"""A catalogue to search in: categories, products and prices, written by SQL alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.ids import new_id


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """A product and its variants, by SKU: what each costs, and how many there are."""

    name: str
    description: str = ""
    keywords: str = ""
    category: str | None = None
    attributes: Mapping[str, Any] = {}
    status: str = "active"
    published: str | None = "2026-01-01T00:00:00Z"
    variants: Mapping[str, tuple[int, int]] = {}
    currency: str = "GBP"
    barcode: str | None = None


async def put_category(tx: AsyncConnection, slug: str, parent: str | None = None) -> None:
    query = """
        INSERT INTO categories (id, slug, name, parent_id)
        VALUES (:id, :slug, initcap(:slug), (SELECT id FROM categories WHERE slug = :parent))
        """
    await tx.execute(text(query), {"id": new_id(), "slug": slug, "parent": parent})


async def put_goods(tx: AsyncConnection, slug: str, goods: Goods) -> UUID:
    product_id = new_id()
    query = """
        INSERT INTO catalogue_products
            (id, slug, name, description, keywords, category_id, attributes, status, published_at)
        VALUES (:id, :slug, :name, :description, :keywords,
                (SELECT id FROM categories WHERE slug = :category), cast(:attributes AS jsonb),
                :status, cast(:published AS timestamptz))
        """
    fields = msgspec.structs.asdict(goods) | {"attributes": json.dumps(goods.attributes)}
    await tx.execute(text(query), {**fields, "id": product_id, "slug": slug})
    for sku, (price_minor, on_hand) in goods.variants.items():
        query = """
            INSERT INTO variants (sku, name, price_minor, currency, product_id, barcode)
            VALUES (:sku, :sku, :price, :currency, :id, :barcode)
            """
        await tx.execute(
            text(query), {**fields, "sku": sku, "price": price_minor, "id": product_id}
        )
        query = "INSERT INTO stock (sku, on_hand) VALUES (:sku, :on_hand)"
        await tx.execute(text(query), {"sku": sku, "on_hand": on_hand})
    return product_id


async def put_prices(
    tx: AsyncConnection,
    name: str,
    prices: Mapping[str, int],
    *,
    priority: int = 0,
    window: Sequence[str | None] = (None, None),
) -> None:
    """Write a price list in pounds; the window is in Postgres' words for moments."""
    list_id = new_id()
    query = """
        INSERT INTO price_lists (id, name, currency, priority, valid_from, valid_to)
        VALUES (:id, :name, 'GBP', :priority, cast(:since AS timestamptz),
                cast(:until AS timestamptz))
        """
    given = {"id": list_id, "name": name, "priority": priority}
    await tx.execute(text(query), {**given, "since": window[0], "until": window[1]})
    query = "INSERT INTO price_list_entries (sku, list_id, price_minor) VALUES (:sku, :id, :price)"
    for sku, price_minor in prices.items():
        await tx.execute(text(query), {"sku": sku, "id": list_id, "price": price_minor})
