"""The whole catalogue, line by line as files have it, from one snapshot."""

from collections.abc import AsyncGenerator
from typing import LiteralString
from uuid import uuid4

from psycopg.rows import scalar_row
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import driver

# Lines of a batch: it is read and sent in some ten milliseconds, so that nothing else waits long.
BATCH_LINES = 200

# JSON is written by Postgres: the web process only passes it on. What is null is left out.
_LINE: LiteralString = """
    SELECT json_strip_nulls(json_build_object(
        'product', CASE WHEN p.id IS NOT NULL THEN json_build_object(
            'slug', p.slug, 'name', p.name, 'description', p.description, 'category', c.slug,
            'attributes', p.attributes, 'images', p.images, 'keywords', p.keywords,
            'status', p.status, 'published_at', p.published_at) END,
        'variant', CASE WHEN v.sku IS NOT NULL THEN json_build_object(
            'sku', v.sku, 'name', v.name, 'price_minor', v.price_minor, 'currency', v.currency,
            'active', v.active, 'barcode', v.barcode, 'options', v.options,
            'compare_at_minor', v.compare_at_minor, 'cost_minor', v.cost_minor,
            'weight_g', v.weight_g, 'tax_class', v.tax_class, 'rank', v.rank) END,
        'prices', (SELECT json_agg(json_build_object('list', l.name, 'price_minor', e.price_minor,
                                       'compare_at_minor', e.compare_at_minor) ORDER BY l.name)
                   FROM price_list_entries e JOIN price_lists l ON l.id = e.list_id
                   WHERE e.sku = v.sku AND l.deleted_at IS NULL)))::text
"""
_OF_PRODUCTS: LiteralString = """
    FROM catalogue_products p LEFT JOIN categories c ON c.id = p.category_id
    LEFT JOIN variants v ON v.product_id = p.id
    WHERE p.deleted_at IS NULL ORDER BY p.slug, v.rank, v.sku
"""
_ALONE: LiteralString = """
    FROM variants v LEFT JOIN catalogue_products p ON false LEFT JOIN categories c ON false
    WHERE v.product_id IS NULL ORDER BY v.sku
"""


async def batches(tx: AsyncConnection) -> AsyncGenerator[list[str]]:
    """Read the lines in batches: products with their variants by slug, then variants without.

    The transaction must see one snapshot. What is not read stays with Postgres.
    """
    connection = await driver(tx)
    for part in (_LINE + _OF_PRODUCTS, _LINE + _ALONE):
        async with connection.cursor(f"export-{uuid4()}", row_factory=scalar_row) as cursor:
            await cursor.execute(part)
            while batch := await cursor.fetchmany(BATCH_LINES):
                yield batch
