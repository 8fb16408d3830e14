"""Offers: what an order may be made of now, and at what price."""

from collections.abc import Collection
from typing import LiteralString

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from db.products import IS_PUBLIC
from domain.variant import Offer

# Of a price list `l`: whether its prices hold now.
IS_VALID: LiteralString = (
    "l.deleted_at IS NULL AND (l.valid_from IS NULL OR l.valid_from <= now())"
    " AND (l.valid_to IS NULL OR now() < l.valid_to)"
)

# Of a variant `v` in the currency `w.currency`: its entry `e` in the list that comes before others.
BEST_ENTRY: LiteralString = f"""
    SELECT e.price_minor, e.compare_at_minor
    FROM price_list_entries e JOIN price_lists l ON l.id = e.list_id
    WHERE e.sku = v.sku AND l.currency = w.currency AND {IS_VALID}
    ORDER BY l.priority DESC, l.name LIMIT 1
"""  # noqa: S608 - a text of ours alone


async def find_many(
    tx: AsyncConnection, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Offer]:
    """Read what variants cost now, by SKU and currency; a SKU that nothing has is left out.

    The best list of that currency that is valid counts, else the variant's own price. A variant
    is for sale with its product only, unless it has none. One statement, so that names, prices
    and what is for sale are of one moment.
    """
    found = await fetch(
        tx,
        Offer,
        f"""
        SELECT v.sku, w.currency, v.name, v.tax_class, v.currency,
               coalesce(b.price_minor, CASE v.currency WHEN w.currency THEN v.price_minor END),
               v.active AND (p.id IS NULL OR {IS_PUBLIC})
        FROM unnest(%(skus)b::text[], %(currencies)b::text[]) AS w (sku, currency)
        JOIN variants v ON v.sku = w.sku
        LEFT JOIN catalogue_products p ON p.id = v.product_id
        LEFT JOIN LATERAL ({BEST_ENTRY}) AS b ON true
        """,  # noqa: S608 - texts of ours alone
        {
            "skus": [sku for sku, _ in wanted],
            "currencies": [currency for _, currency in wanted],
        },
    )
    return {(offer.sku, offer.currency): offer for offer in found}
