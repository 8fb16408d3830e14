"""The catalogue: read by SKU, one or many, and put by staff."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import func

from db import tables
from db.engine import fetch
from domain.product import Product

_p = tables.products.c
_PRODUCT = (_p.sku, _p.name, _p.price_minor, _p.currency, _p.active, _p.version)


async def find_many(tx: AsyncConnection, skus: Sequence[str]) -> dict[str, Product]:
    """Read the products of `skus`, those that exist."""
    found = await fetch(
        tx,
        Product,
        """
        SELECT sku, name, price_minor, currency, active, version
        FROM products WHERE sku = ANY (%(skus)b::text[])
        """,
        {"skus": list(skus)},
    )
    return {product.sku: product for product in found}


async def find(tx: AsyncConnection, sku: str) -> Product | None:
    """Read a product."""
    row = (await tx.execute(select(*_PRODUCT).where(_p.sku == sku))).one_or_none()
    return None if row is None else Product(*row)


async def put(tx: AsyncConnection, product: Product) -> Product:
    """Create or replace a product; its version is counted here."""
    fields = {
        "name": product.name,
        "price_minor": product.price_minor,
        "currency": product.currency,
        "active": product.active,
    }
    query = (
        insert(tables.products)
        .values(sku=product.sku, **fields)
        .on_conflict_do_update(
            index_elements=[_p.sku],
            set_={**fields, "version": _p.version + 1, "updated_at": func.now()},
        )
        .returning(*_PRODUCT)
    )
    return Product(*(await tx.execute(query)).one())
