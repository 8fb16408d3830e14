"""The limit does what the product does, so that the two may be compared."""

from collections.abc import Sequence

import pytest
from psycopg.rows import TupleRow

from db.engine import Database
from ops.bench import books
from ops.bench.limit import limit
from ops.bench.workload import SKUS, Lost
from ops.config import Settings
from tests.builders import a_placement, place
from tests.stages import run_stages

# What an order leaves behind, without what differs from order to order.
TRACES = """
    SELECT 'order' AS what, status, version::text, currency, payment_method, '' AS data
    FROM orders WHERE id = %(id)s
    UNION ALL SELECT 'line', line::text, '', '', '', '' FROM order_lines WHERE order_id = %(id)s
    UNION ALL SELECT 'event', status, version::text, kind, '',
        (SELECT string_agg(key, ',' ORDER BY key) FROM jsonb_object_keys(data) AS key)
    FROM order_events WHERE order_id = %(id)s
    UNION ALL SELECT 'reservation', state, '', '', '', '' FROM reservations WHERE order_id = %(id)s
    UNION ALL SELECT 'key', scope, status::text, '', '', ''
    FROM idempotency_keys WHERE order_id = %(id)s
    UNION ALL SELECT 'task', state, attempt::text, queue, kind, payload::text
    FROM tasks WHERE order_id = %(id)s
    UNION ALL SELECT 'attempt', state, kind, currency, gateway, '' FROM payment_attempts
    WHERE order_id = %(id)s
    UNION ALL SELECT 'entry', account, sign(amount_minor)::text, currency, '', ''
    FROM ledger_entries WHERE order_id = %(id)s
    UNION ALL SELECT 'notification', state, kind, channel, '', '' FROM notifications
    WHERE order_id = %(id)s
    ORDER BY 1, 2, 3, 4, 5, 6
"""


async def traces(url: str, order_id: object) -> Sequence[TupleRow]:
    async with books.opened(url) as connection:
        return await (await connection.execute(TRACES, {"id": order_id})).fetchall()


async def order_ids(url: str) -> list[str]:
    async with books.opened(url) as connection:
        found = await connection.execute("SELECT id::text FROM orders ORDER BY id")
        return [row[0] for row in await found.fetchall()]


async def test_order_of_the_limit_leaves_what_an_order_of_the_product_leaves(
    database: Database, database_url: str, settings: Settings
) -> None:
    await books.seed(database_url)
    [ours] = await place(database, a_placement(("SKU-1", 1), ("SKU-2", 3)))
    await run_stages(database, settings)

    await limit(database_url, clients=1, seconds=1)

    theirs = next(one for one in await order_ids(database_url) if one != str(ours))
    assert await traces(database_url, theirs) == await traces(database_url, ours)


async def test_every_order_of_the_limit_is_carried_to_its_end(
    database: Database, database_url: str
) -> None:
    del database
    await books.seed(database_url)

    found = await limit(database_url, clients=4, seconds=1)

    done = await order_ids(database_url)
    assert len(done) == found.orders > 0
    await books.check(database_url, done)


async def test_products_of_the_limit_are_spread_as_those_of_the_workload(
    database: Database, database_url: str
) -> None:
    del database
    await books.seed(database_url)
    await limit(database_url, clients=1, seconds=1)

    async with books.opened(database_url) as connection:
        found = await connection.execute(
            "SELECT min(n), max(n), count(DISTINCT n) "
            "FROM (SELECT substr(sku, 5)::int AS n FROM order_lines)"
        )
        least, most, distinct = await found.fetchone() or (0, 0, 0)

    assert least <= SKUS * 0.1
    assert most >= SKUS * 0.9
    assert distinct > 50


async def test_limit_that_cannot_run_is_no_limit(database: Database, database_url: str) -> None:
    del database  # No product is there.

    with pytest.raises(Lost, match="pgbench failed"):
        await limit(database_url, clients=1, seconds=1)
