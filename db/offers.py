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

# Of a variant `v` in the currency `w.currency`: its entry `e` in the list `l` of `lists` that comes
# before the others.
_BEST: LiteralString = """
    SELECT e.price_minor, e.compare_at_minor
    FROM {lists} JOIN price_list_entries e ON e.list_id = l.id AND e.sku = v.sku
    WHERE l.currency = w.currency AND {valid}
    ORDER BY l.priority DESC, l.name LIMIT 1
"""
BEST_ENTRY: LiteralString = _BEST.format(lists="price_lists l", valid=IS_VALID)


async def find_many(
    tx: AsyncConnection, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Offer]:
    """Read what variants cost now, by SKU and currency; a SKU that nothing has is left out.

    The best list of that currency that is valid counts, else the variant's own price. A variant
    is for sale with its product only, unless it has none. One statement, so that names, prices
    and what is for sale are of one moment. Lists are looked at once for all: those that are over
    cost nothing more for each SKU, and nothing at all is looked for if none is valid.
    """
    found = await fetch(
        tx,
        Offer,
        f"""
        WITH valid AS MATERIALIZED (
            SELECT l.id, l.name, l.currency, l.priority FROM price_lists l WHERE {IS_VALID}
        )
        SELECT v.sku, w.currency, v.name, v.tax_class, v.currency,
               coalesce(b.price_minor, CASE v.currency WHEN w.currency THEN v.price_minor END),
               v.active AND (p.id IS NULL OR {IS_PUBLIC})
        FROM unnest(%(skus)b::text[], %(currencies)b::text[]) AS w (sku, currency)
        JOIN variants v ON v.sku = w.sku
        LEFT JOIN catalogue_products p ON p.id = v.product_id
        LEFT JOIN LATERAL ({_BEST.format(lists="valid l", valid="true")}) AS b ON true
        """,  # noqa: S608 - texts of ours alone
        {
            "skus": [sku for sku, _ in wanted],
            "currencies": [currency for _, currency in wanted],
        },
    )
    return {(offer.sku, offer.currency): offer for offer in found}
