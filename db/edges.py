"""Edges: when what is shown of the catalogue changes without anybody writing anything."""

import math
from collections.abc import Sequence
from typing import LiteralString

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch

# Of products `p` the moments at which they appear, and at which prices of theirs begin and end.
_APPEARS: LiteralString = "SELECT p.published_at AS edge FROM catalogue_products p"
_PRICED: LiteralString = """
    SELECT unnest(ARRAY[l.valid_from, l.valid_to]) AS edge
    FROM catalogue_products p
    JOIN variants v ON v.product_id = p.id
    JOIN price_list_entries e ON e.sku = v.sku
    JOIN price_lists l ON l.id = e.list_id AND l.deleted_at IS NULL
"""


async def of_variant(tx: AsyncConnection, sku: str) -> float:
    """Tell in how many seconds a variant appears with its product; infinity if it does not."""
    query: LiteralString = f"""
        SELECT extract(epoch FROM min(edge) - now())::float8 FROM (
            {_APPEARS} JOIN variants v ON v.product_id = p.id WHERE v.sku = %(sku)s
        ) AS edges WHERE edge > now()
        """  # noqa: S608 - a text of ours alone
    [left_s] = await fetch(tx, _seconds, query, {"sku": sku})
    return left_s


async def of_products(tx: AsyncConnection, slugs: Sequence[str]) -> float:
    """Tell in how many seconds one of products appears, or has another price; infinity if none."""
    query: LiteralString = f"""
        SELECT extract(epoch FROM min(edge) - now())::float8 FROM (
            {_APPEARS} WHERE p.slug = ANY (%(slugs)b::text[])
            UNION ALL {_PRICED} WHERE p.slug = ANY (%(slugs)b::text[])
        ) AS edges WHERE edge > now()
        """  # noqa: S608 - texts of ours alone
    [left_s] = await fetch(tx, _seconds, query, {"slugs": list(slugs)})
    return left_s


def _seconds(left_s: float | None) -> float:
    return math.inf if left_s is None else left_s
