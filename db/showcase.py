"""The showcase: what variants of products cost now, and whether there are any."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from db.offers import BEST_ENTRY


class Availability(StrEnum):
    """Whether a variant can be ordered now."""

    IN_STOCK = "in_stock"  # there is some that nobody waits for
    BACKORDER = "backorder"  # there is none, and it may be waited for
    OUT_OF_STOCK = "out_of_stock"


class ShownVariant(msgspec.Struct, frozen=True):
    """A variant in its product, at the price of now; None if it is not sold in that currency.

    `available_from` is since when what may be waited for will be there, if that is known.
    """

    sku: str
    name: str
    options: dict[str, str]
    barcode: str | None
    weight_g: int | None
    active: bool
    currency: str
    price_minor: int | None
    compare_at_minor: int | None
    availability: Availability
    available_from: date | None


async def page(
    tx: AsyncConnection, slugs: Sequence[str], *, currency: str | None, public: bool
) -> dict[str, list[ShownVariant]]:
    """Read the variants of products by their slugs, in their order; without a currency in theirs.

    Those that are not active are left out of what is public.
    """
    found = await fetch(
        tx,
        _shown,
        f"""
        SELECT p.slug, v.sku, v.name, v.options, v.barcode, v.weight_g, v.active, w.currency,
               coalesce(b.price_minor, CASE v.currency WHEN w.currency THEN v.price_minor END),
               CASE WHEN b.price_minor IS NOT NULL THEN b.compare_at_minor
                    WHEN v.currency = w.currency THEN v.compare_at_minor END,
               CASE WHEN s.on_hand - s.reserved - s.backordered > 0 THEN 'in_stock'
                    WHEN s.backordered < s.backorder_max THEN 'backorder'
                    ELSE 'out_of_stock' END,
               CASE WHEN s.backordered < s.backorder_max THEN s.available_from END
        FROM catalogue_products p
        JOIN variants v ON v.product_id = p.id
        CROSS JOIN LATERAL (SELECT coalesce(%(currency)s::text, v.currency) AS currency) AS w
        LEFT JOIN LATERAL ({BEST_ENTRY}) AS b ON true
        LEFT JOIN stock s ON s.sku = v.sku
        WHERE p.slug = ANY (%(slugs)b::text[]) AND (v.active OR NOT %(public)s)
        ORDER BY v.product_id, v.rank, v.sku
        """,  # noqa: S608 - texts of ours alone
        {"slugs": list(slugs), "currency": currency, "public": public},
    )
    variants: dict[str, list[ShownVariant]] = {slug: [] for slug in slugs}
    for slug, variant in found:
        variants[slug].append(variant)
    return variants


def _shown(slug: str, *columns: object) -> tuple[str, ShownVariant]:
    fields = dict(zip(ShownVariant.__struct_fields__, columns, strict=True))
    return slug, msgspec.convert(fields, ShownVariant)
