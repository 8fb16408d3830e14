"""Variants: read by SKU, and put by staff."""

from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import products
from db.engine import fetch, run
from domain.product import VARIANTS_MAX, TooManyVariants
from domain.variant import Variant


async def find(tx: AsyncConnection, sku: str, *, public: bool = False) -> Variant | None:
    """Read a variant; one that is `public` is of a product that everybody sees, or of none."""
    found = await fetch(
        tx,
        _variant,
        f"""
        SELECT v.sku, v.name, v.price_minor, v.currency, v.active, v.version, p.slug, v.barcode,
               v.options, v.compare_at_minor, v.cost_minor, v.weight_g, v.tax_class, v.rank
        FROM variants v LEFT JOIN catalogue_products p ON p.id = v.product_id
        WHERE v.sku = %(sku)s AND (NOT %(public)s OR p.id IS NULL OR {products.IS_PUBLIC})
        """,  # noqa: S608 - texts of ours alone
        {"sku": sku, "public": public},
    )
    return found[0] if found else None


async def lock(tx: AsyncConnection, sku: str) -> Variant | None:
    """Read a variant that nobody else changes until the transaction ends."""
    await run(tx, "SELECT FROM variants WHERE sku = %(sku)s FOR NO KEY UPDATE", {"sku": sku})
    return await find(tx, sku)


async def put(tx: AsyncConnection, variant: Variant) -> Variant:
    """Create or replace a variant; its version is counted here.

    Raises UnknownProduct, or TooManyVariants of its product, which stays locked until the
    transaction ends, as does that of which it was one. `lock` comes first.
    """
    product_id = await _product(tx, variant)
    [version] = await fetch(
        tx,
        int,
        """
        INSERT INTO variants AS v (sku, name, price_minor, currency, active, product_id, barcode,
                                   options, compare_at_minor, cost_minor, weight_g, tax_class, rank)
        VALUES (%(sku)s, %(name)s, %(price_minor)s, %(currency)s, %(active)s, %(product_id)s,
                %(barcode)s, %(options)s::jsonb, %(compare_at_minor)s, %(cost_minor)s,
                %(weight_g)s, %(tax_class)s, %(rank)s)
        ON CONFLICT (sku) DO UPDATE
        SET name = excluded.name, price_minor = excluded.price_minor,
            currency = excluded.currency, active = excluded.active,
            product_id = excluded.product_id, barcode = excluded.barcode,
            options = excluded.options, compare_at_minor = excluded.compare_at_minor,
            cost_minor = excluded.cost_minor, weight_g = excluded.weight_g,
            tax_class = excluded.tax_class, rank = excluded.rank,
            version = v.version + 1, updated_at = now()
        RETURNING v.version
        """,
        {
            **msgspec.structs.asdict(variant),
            "product_id": product_id,
            "options": msgspec.json.encode(variant.options).decode(),
            "tax_class": variant.tax_class.value,
        },
    )
    return msgspec.structs.replace(variant, version=version)


async def withdraw(tx: AsyncConnection, sku: str) -> None:
    """Take a variant off sale; its row stays, as its stock and what was ordered of it do."""
    await run(
        tx,
        """
        UPDATE variants SET active = false, version = version + 1, updated_at = now()
        WHERE sku = %(sku)s AND active
        """,
        {"sku": sku},
    )


async def _product(tx: AsyncConnection, variant: Variant) -> UUID | None:
    if variant.product is None:
        return None
    product_id = await products.lock_living(tx, variant.product, sku=variant.sku)
    [others] = await fetch(
        tx,
        int,
        "SELECT count(*) FROM variants WHERE product_id = %(id)s AND sku <> %(sku)s",
        {"id": product_id, "sku": variant.sku},
    )
    if others >= VARIANTS_MAX:
        raise TooManyVariants(
            f"{variant.product} has {VARIANTS_MAX} variants already: make another product.",
            field="product",
        )
    return product_id


def _variant(*columns: object) -> Variant:
    return msgspec.convert(dict(zip(Variant.__struct_fields__, columns, strict=True)), Variant)
