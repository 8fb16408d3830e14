"""Publishing an import: all of it in one transaction, or nothing.

Orders read the catalogue without locking it, so they do not wait: until the commit they see it as
it was, afterwards as it is. Whoever writes what is written here waits for it, at most as long as
a statement waits for a lock. Nobody waits in a circle: all lock variants, then price lists, then
products by their ids, as search does at the end of each transaction.
"""

from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import import_checks, invalidations
from db.engine import allow_joins, run
from db.invalidations import CATALOGUE
from domain.importing import ImportState, OnError

# The longest is the commit, for which search writes down what changed: half a ms per product.
STATEMENT_TIMEOUT_S = 540
# For another import that is being published.
LOCK_TIMEOUT_S = 60

_ONE_AT_A_TIME: LiteralString = (
    "SELECT pg_advisory_xact_lock(hashtext('orderflow'), hashtext('import'))"
)

_LOCK_VARIANTS: LiteralString = """
    SELECT FROM variants v WHERE sku IN (
        SELECT sku FROM import_rows WHERE import_id = %(id)s AND NOT bad)
    ORDER BY sku FOR NO KEY UPDATE
"""
_LOCK_LISTS: LiteralString = """
    SELECT FROM price_lists l WHERE deleted_at IS NULL AND name IN (
        SELECT e->>'list' FROM import_rows, jsonb_array_elements(prices) AS e
        WHERE import_id = %(id)s AND NOT bad)
    ORDER BY name FOR NO KEY UPDATE
"""
_LOCK_PRODUCTS: LiteralString = """
    SELECT FROM catalogue_products p WHERE slug IN (
        SELECT slug FROM import_rows WHERE import_id = %(id)s AND NOT bad
        UNION ALL SELECT parent FROM import_rows WHERE import_id = %(id)s AND NOT bad)
    ORDER BY id FOR NO KEY UPDATE
"""
_LOCK_CATEGORIES: LiteralString = """
    SELECT FROM categories c WHERE deleted_at IS NULL AND slug IN (
        SELECT product->>'category' FROM import_rows WHERE import_id = %(id)s AND NOT bad)
    ORDER BY slug FOR SHARE
"""

# As PUT /v1/products/{slug} does it, but that what is the same already is not written again.
_PRODUCTS: LiteralString = """
    INSERT INTO catalogue_products AS p (id, slug, name, description, category_id, attributes,
                                         images, keywords, status, published_at)
    SELECT product_id, r.slug, n.name, n.description, c.id, n.attributes, n.images, n.keywords,
           n.status, coalesce(n.published_at, CASE n.status WHEN 'active' THEN
               CASE WHEN o.status = 'active' AND o.deleted_at IS NULL AND o.published_at <= now()
                    THEN o.published_at ELSE now() END END)
    FROM (SELECT DISTINCT ON (slug) product_id, slug, product FROM import_rows
          WHERE import_id = %(id)s AND NOT bad AND slug IS NOT NULL ORDER BY slug, line) AS r
    CROSS JOIN LATERAL jsonb_to_record(r.product) AS n (
        name text, description text, category text, attributes jsonb, images jsonb, keywords text,
        status text, published_at timestamptz)
    LEFT JOIN categories c ON c.slug = n.category
    LEFT JOIN catalogue_products o ON o.slug = r.slug
    ORDER BY r.slug
    ON CONFLICT (slug) DO UPDATE
    SET name = excluded.name, description = excluded.description,
        category_id = excluded.category_id, attributes = excluded.attributes,
        images = excluded.images, keywords = excluded.keywords, status = excluded.status,
        published_at = excluded.published_at, deleted_at = NULL, version = p.version + 1,
        updated_at = now()
    WHERE (p.name, p.description, p.category_id, p.attributes, p.images, p.keywords, p.status,
           p.published_at, p.deleted_at)
        IS DISTINCT FROM (excluded.name, excluded.description, excluded.category_id,
           excluded.attributes, excluded.images, excluded.keywords, excluded.status,
           excluded.published_at, NULL)
"""

_VARIANTS: LiteralString = """
    INSERT INTO variants AS v (sku, name, price_minor, currency, active, product_id, barcode,
                               options, compare_at_minor, cost_minor, weight_g, tax_class, rank)
    SELECT r.sku, n.name, n.price_minor, n.currency, n.active, p.id, n.barcode, n.options,
           n.compare_at_minor, n.cost_minor, n.weight_g, n.tax_class, n.rank
    FROM import_rows r
    CROSS JOIN LATERAL jsonb_to_record(r.variant) AS n (
        name text, price_minor bigint, currency text, active boolean, barcode text, options jsonb,
        compare_at_minor bigint, cost_minor bigint, weight_g integer, tax_class text, rank integer)
    LEFT JOIN catalogue_products p ON p.slug = r.parent
    WHERE import_id = %(id)s AND NOT bad AND r.sku IS NOT NULL
    ORDER BY r.sku
    ON CONFLICT (sku) DO UPDATE
    SET name = excluded.name, price_minor = excluded.price_minor, currency = excluded.currency,
        active = excluded.active, product_id = excluded.product_id, barcode = excluded.barcode,
        options = excluded.options, compare_at_minor = excluded.compare_at_minor,
        cost_minor = excluded.cost_minor, weight_g = excluded.weight_g,
        tax_class = excluded.tax_class, rank = excluded.rank, version = v.version + 1,
        updated_at = now()
    WHERE (v.name, v.price_minor, v.currency, v.active, v.product_id, v.barcode, v.options,
           v.compare_at_minor, v.cost_minor, v.weight_g, v.tax_class, v.rank)
        IS DISTINCT FROM (excluded.name, excluded.price_minor, excluded.currency,
           excluded.active, excluded.product_id, excluded.barcode, excluded.options,
           excluded.compare_at_minor, excluded.cost_minor, excluded.weight_g,
           excluded.tax_class, excluded.rank)
"""

_PRICES: LiteralString = """
    WITH written AS (
        INSERT INTO price_list_entries AS e (sku, list_id, price_minor, compare_at_minor)
        SELECT r.sku, l.id, n.price_minor, n.compare_at_minor
        FROM import_rows r
        CROSS JOIN LATERAL jsonb_to_recordset(r.prices) AS n (
            list text, price_minor bigint, compare_at_minor bigint)
        JOIN price_lists l ON l.name = n.list
        WHERE import_id = %(id)s AND NOT bad
        ORDER BY r.sku, l.id
        ON CONFLICT (sku, list_id) DO UPDATE
        SET price_minor = excluded.price_minor, compare_at_minor = excluded.compare_at_minor
        WHERE (e.price_minor, e.compare_at_minor)
            IS DISTINCT FROM (excluded.price_minor, excluded.compare_at_minor)
        RETURNING list_id
    ), counted AS (
        UPDATE price_lists l SET version = version + 1, updated_at = now()
        FROM (SELECT DISTINCT list_id FROM written) AS w WHERE l.id = w.list_id
    )
    SELECT FROM written
"""


class Written(msgspec.Struct, frozen=True):
    """How many products, variants and prices are new or were otherwise before."""

    products: int
    variants: int
    prices: int


async def publish(
    tx: AsyncConnection, import_id: UUID, on_error: OnError, *, dry_run: bool
) -> None:
    """Show all good lines of an import at once, or end it without if that is what was asked.

    Other imports wait for the end of the transaction.
    """
    for setting, seconds in (("statement", STATEMENT_TIMEOUT_S), ("lock", LOCK_TIMEOUT_S)):
        await tx.exec_driver_sql(f"SET LOCAL {setting}_timeout = '{seconds}s'")
    await allow_joins(tx)
    params = {"id": import_id}
    await run(tx, _ONE_AT_A_TIME, {})
    # Without it the planner takes these rows for few, and reads all of them for each. Its lock on
    # the table would keep imports apart by itself, were it not for another purpose.
    await tx.exec_driver_sql("ANALYZE import_rows")
    if not dry_run:
        for lock in (_LOCK_VARIANTS, _LOCK_LISTS, _LOCK_PRODUCTS, _LOCK_CATEGORIES):
            await run(tx, lock, params)
    bad = await import_checks.check(tx, import_id)
    refused = await _is_refused(tx, import_id, bad, on_error)
    written = None if dry_run or refused else await _write(tx, import_id)
    state = ImportState.REFUSED if refused else ImportState.DONE
    await _end(tx, import_id, state, bad, written)


async def _write(tx: AsyncConnection, import_id: UUID) -> Written:
    params = {"id": import_id}
    products = await run(tx, _PRODUCTS, params)
    variants = await run(tx, _VARIANTS, params)
    written = Written(products, variants, await run(tx, _PRICES, params))
    await invalidations.touch(tx, [CATALOGUE])
    return written


async def _is_refused(tx: AsyncConnection, import_id: UUID, bad: int, on_error: OnError) -> bool:
    query = "SELECT FROM import_errors WHERE import_id = %(id)s LIMIT 1"
    return on_error is OnError.REFUSE and bool(bad or await run(tx, query, {"id": import_id}))


async def _end(
    tx: AsyncConnection, import_id: UUID, state: ImportState, bad: int, written: Written | None
) -> None:
    counts = {} if written is None else msgspec.structs.asdict(written)
    await run(
        tx,
        """
        UPDATE imports SET state = %(state)s, bad = bad + %(bad)s, finished_at = clock_timestamp(),
            products = %(products)s, variants = %(variants)s, prices = %(prices)s
        WHERE id = %(id)s
        """,
        {
            "id": import_id,
            "state": state.value,
            "bad": bad,
            **dict.fromkeys(Written.__struct_fields__),
            **counts,
        },
    )
