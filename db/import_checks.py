"""Lines of an import held against each other and against the catalogue, all at once."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import run
from domain.catalogue_file import LineRefused
from domain.product import VARIANTS_MAX

# What is wrong with which lines, one after the other: each looks at lines that are good so far.
_CHECKS: Sequence[LiteralString] = (
    """
    SELECT line, 'variant.sku', format('%%s is in line %%s already: leave one of them.', sku, first)
    FROM (SELECT line, sku, bad, min(line) OVER (PARTITION BY sku) AS first
          FROM import_rows WHERE import_id = %(id)s AND sku IS NOT NULL AND NOT bad) AS r
    WHERE line > first
    """,
    """
    SELECT line, 'product', format('Line %%s says otherwise of %%s: let them be the same.',
                                   first_line, slug)
    FROM (SELECT line, slug, product, first_value(product) OVER same AS first,
                 first_value(line) OVER same AS first_line
          FROM import_rows WHERE import_id = %(id)s AND slug IS NOT NULL AND NOT bad
          WINDOW same AS (PARTITION BY slug ORDER BY line)) AS r
    WHERE product <> first
    """,
    """
    SELECT line, 'product.category',
           format('There is no category %%s: put it first.', product->>'category')
    FROM import_rows r
    WHERE import_id = %(id)s AND NOT bad AND product->>'category' IS NOT NULL
      AND NOT EXISTS (SELECT FROM categories c
                      WHERE c.slug = r.product->>'category' AND c.deleted_at IS NULL)
    """,
    """
    SELECT line, 'prices', format('There is no price list %%s: put it first.', min(p->>'list'))
    FROM import_rows r, jsonb_array_elements(prices) AS p
    WHERE import_id = %(id)s AND NOT bad AND NOT EXISTS (
        SELECT FROM price_lists l WHERE l.name = p->>'list' AND l.deleted_at IS NULL)
    GROUP BY line
    """,
    """
    SELECT line, 'variant.product', format('There is no product %%s, here or before.', parent)
    FROM import_rows r
    WHERE import_id = %(id)s AND NOT bad AND parent IS NOT NULL AND slug IS NULL
      AND NOT EXISTS (SELECT FROM catalogue_products p
                      WHERE p.slug = r.parent AND p.deleted_at IS NULL)
      AND NOT EXISTS (SELECT FROM import_rows o
                      WHERE o.import_id = %(id)s AND o.slug = r.parent AND NOT o.bad)
    """,
    """
    SELECT r.line, 'variant', format('%%s would have more than %%s variants: make another product.',
                                     r.parent, %(variants_max)s::int)
    FROM import_rows r JOIN (
        SELECT parent FROM (
            SELECT parent, sku FROM import_rows
            WHERE import_id = %(id)s AND NOT bad AND parent IS NOT NULL
            UNION
            SELECT p.slug, v.sku FROM catalogue_products p JOIN variants v ON v.product_id = p.id
            WHERE p.slug IN (SELECT parent FROM import_rows
                             WHERE import_id = %(id)s AND NOT bad)
              AND NOT EXISTS (SELECT FROM import_rows moved
                              WHERE moved.import_id = %(id)s AND moved.sku = v.sku
                                AND NOT moved.bad)
        ) AS every GROUP BY parent HAVING count(*) > %(variants_max)s::int
    ) AS full_ ON full_.parent = r.parent
    WHERE r.import_id = %(id)s AND NOT r.bad
    """,
)

_MARK: LiteralString = """
    WITH wrong (line, field, detail) AS ({check}), noted AS (
        INSERT INTO import_errors (import_id, line, field, detail)
        SELECT %(id)s, line, field, detail FROM wrong
    )
    UPDATE import_rows r SET bad = true FROM wrong
    WHERE r.import_id = %(id)s AND r.line = wrong.line
"""


async def check(tx: AsyncConnection, import_id: UUID) -> int:
    """Mark the lines that cannot be published, each with its reason; returns how many."""
    params = {"id": import_id, "variants_max": VARIANTS_MAX}
    return sum([await run(tx, _MARK.replace("{check}", query), params) for query in _CHECKS])


async def note(
    tx: AsyncConnection, import_id: UUID, refused: Sequence[tuple[int, LineRefused]]
) -> None:
    """Keep why lines could not be read."""
    if not refused:
        return
    await run(
        tx,
        """
        INSERT INTO import_errors (import_id, line, field, detail)
        SELECT %(id)s, * FROM unnest(%(line)b::int[], %(field)b::text[], %(detail)b::text[])
        """,
        {
            "id": import_id,
            "line": [line for line, _ in refused],
            "field": [why.field for _, why in refused],
            "detail": [why.detail for _, why in refused],
        },
    )
