"""Variants: read by SKU, and put by staff."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import func

from db import invalidations, tables
from domain.variant import Variant

_v = tables.variants.c
_VARIANT = (_v.sku, _v.name, _v.price_minor, _v.currency, _v.active, _v.version)


async def find(tx: AsyncConnection, sku: str) -> Variant | None:
    """Read a variant."""
    row = (await tx.execute(select(*_VARIANT).where(_v.sku == sku))).one_or_none()
    return None if row is None else Variant(*row)


async def put(tx: AsyncConnection, variant: Variant) -> Variant:
    """Create or replace a variant; its version is counted here."""
    fields = {
        "name": variant.name,
        "price_minor": variant.price_minor,
        "currency": variant.currency,
        "active": variant.active,
    }
    query = (
        insert(tables.variants)
        .values(sku=variant.sku, **fields)
        .on_conflict_do_update(
            index_elements=[_v.sku],
            set_={**fields, "version": _v.version + 1, "updated_at": func.now()},
        )
        .returning(*_VARIANT)
    )
    stored = Variant(*(await tx.execute(query)).one())
    await invalidations.touch(tx, [f"variant:{stored.sku}"])
    return stored
