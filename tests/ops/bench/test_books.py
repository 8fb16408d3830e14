"""What the bench reads after a phase: it waits for the last order and finds what was lost."""

import asyncio

import psycopg
import pytest

from db.engine import Database
from ops.bench import books
from ops.bench.outside import InstantGateway
from ops.bench.workload import Lost
from ops.config import Settings
from tests.builders import a_placement, place
from tests.stages import drain_inventory, drain_payments, run_stages


async def two_orders(database: Database, database_url: str) -> list[str]:
    await books.seed(database_url)
    placed = [a_placement(("SKU-1", 1), ("SKU-2", 2)), a_placement(("SKU-1", 3))]
    return [str(order_id) for order_id in await place(database, *placed)]


async def test_settled_orders_pass(
    database: Database, database_url: str, settings: Settings
) -> None:
    ids = await two_orders(database, database_url)
    await run_stages(database, settings)

    await books.check(database_url, ids)


async def test_order_whose_customer_was_not_told_is_lost(
    database: Database, database_url: str, settings: Settings
) -> None:
    ids = await two_orders(database, database_url)
    await drain_inventory(database)
    await drain_payments(database, settings, InstantGateway())

    with pytest.raises(Lost, match="Of 2 orders"):
        await books.check(database_url, ids)


async def test_order_that_was_answered_twice_is_lost(database: Database, database_url: str) -> None:
    first, _ = await two_orders(database, database_url)

    with pytest.raises(Lost, match="twice"):
        await books.check(database_url, [first, first])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE stock SET on_hand = on_hand - 1 WHERE sku = 'SKU-1'", "SKU-1"),
        ("UPDATE stock SET reserved = 1 WHERE sku = 'SKU-2'", "S1"),
        ("UPDATE ledger_entries SET amount_minor = 2 * amount_minor", "S3"),
        ("DELETE FROM order_events WHERE version = 2", "S8"),
    ],
)
async def test_damaged_books_are_found(
    damage: str, said: str, database: Database, database_url: str, settings: Settings
) -> None:
    ids = await two_orders(database, database_url)
    await run_stages(database, settings)
    async with books.opened(database_url) as connection:
        await connection.execute(damage.encode())

    with pytest.raises(Lost, match=said):
        await books.check(database_url, ids)


async def test_waiting_ends_when_no_order_has_work_left(
    database: Database, database_url: str, settings: Settings
) -> None:
    await two_orders(database, database_url)
    async with books.opened(database_url) as connection:
        waiting = asyncio.create_task(books.settled(connection))
        await asyncio.wait({waiting}, timeout=5 * books.SETTLED_POLL_S)
        assert not waiting.done()

        await run_stages(database, settings)

        async with asyncio.timeout(10):
            await waiting


async def test_progress_of_an_order_is_paid_first_and_told_then(
    database: Database, database_url: str, settings: Settings
) -> None:
    order_id, _ = await two_orders(database, database_url)
    async with books.opened(database_url) as connection:
        before = await books.progress(connection, order_id)
        await drain_inventory(database)
        await drain_payments(database, settings, InstantGateway())
        paid = await books.progress(connection, order_id)
        await run_stages(database, settings)
        told = await books.progress(connection, order_id)

    assert (before, paid, told) == ((False, False), (True, False), (True, True))


async def test_renewed_database_is_empty(database_url: str) -> None:
    url = f"{database_url.replace('orderflow_test', 'orderflow_bench_test')}"
    await books.renew(url)
    async with books.opened(url) as connection:
        await connection.execute("CREATE TABLE inherited ()")

    await books.renew(url)

    async with books.opened(url) as connection:
        with pytest.raises(psycopg.errors.UndefinedTable):
            await connection.execute("SELECT FROM inherited")
