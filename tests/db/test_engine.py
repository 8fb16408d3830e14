"""Transactions: what an outage becomes and how the pool recovers from it."""

import asyncio
import socket

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import (
    Database,
    Unavailable,
    connect,
    fetch,
    run,
    transaction,
)
from ops.config import Settings
from tests.db.backends import Admin, Use, backend, in_transaction, kill
from tests.postgres import Wire
from tests.waiting import eventually


async def _core(tx: AsyncConnection) -> None:
    await tx.execute(text("SELECT 1"))


async def _psycopg(tx: AsyncConnection) -> None:
    await fetch(tx, int, "SELECT 1", {})


async def _only_commit(_: AsyncConnection) -> None:
    pass


@pytest.mark.parametrize("use", [_core, _psycopg, _only_commit])
async def test_killed_backend_is_an_outage_wherever_it_is_noticed(
    database: Database, admin: Admin, use: Use
) -> None:
    async def killed_before(tx: AsyncConnection) -> None:
        await kill(admin, await backend(tx))
        await use(tx)

    with pytest.raises(Unavailable, match="terminating connection"):
        await in_transaction(database, killed_before)

    await in_transaction(database, _psycopg)


async def _occupy(database: Database, count: int) -> list[int]:
    """Have so many connections open at once, then give them back; returns their backends."""
    together = asyncio.Barrier(count)

    async def one() -> int:
        async with transaction(database) as tx:
            await together.wait()
            return await backend(tx)

    return await asyncio.gather(*(one() for _ in range(count)))


@pytest.mark.parametrize("use", [_core, _psycopg])
async def test_pool_recovers_from_the_loss_of_all_idle_connections_at_the_first_failure(
    database: Database, settings: Settings, admin: Admin, use: Use
) -> None:
    backends = await _occupy(database, settings.database_pool_max)
    assert len(set(backends)) == settings.database_pool_max
    await kill(admin, *backends)

    with pytest.raises(Unavailable):
        await in_transaction(database, use)

    fresh = await _occupy(database, settings.database_pool_max)
    assert not set(fresh) & set(backends)


async def test_pool_recovers_from_the_loss_of_all_connections_in_use(
    database: Database, settings: Settings, admin: Admin
) -> None:
    size = settings.database_pool_max
    begun, killed = asyncio.Barrier(size + 1), asyncio.Event()
    backends: list[int] = []

    async def one() -> None:
        async with transaction(database) as tx:
            backends.append(await backend(tx))
            await begun.wait()
            await killed.wait()
            await _psycopg(tx)

    under_way = [asyncio.create_task(one()) for _ in range(size)]
    await begun.wait()
    await kill(admin, *backends)
    killed.set()
    outcomes = await asyncio.gather(*under_way, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Unavailable] * size
    fresh = await _occupy(database, size)
    assert len(set(fresh)) == size
    assert not set(fresh) & set(backends)


async def test_one_lost_connection_leaves_no_other_behind_open(
    database: Database, settings: Settings, admin: Admin
) -> None:
    backends = await _occupy(database, settings.database_pool_max)
    await kill(admin, backends[0])

    for _ in backends:
        try:
            await _occupy(database, settings.database_pool_max)
        except Unavailable:
            continue

    ours = """
        SELECT FROM pg_stat_activity
        WHERE application_name = 'orderflow tests' AND datname = current_database()
        """

    async def no_more_than_the_pool() -> bool:
        return (await admin.execute(ours)).rowcount <= settings.database_pool_max

    assert await eventually(no_more_than_the_pool)


async def test_transaction_left_idle_too_long_is_an_outage(
    impatient: Database, admin: Admin
) -> None:
    async def dawdle(tx: AsyncConnection) -> None:
        pid = await backend(tx)

        async def gone() -> bool:
            found = await admin.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid])
            return found.rowcount == 0

        await eventually(gone)
        await _psycopg(tx)

    with pytest.raises(Unavailable, match="idle-in-transaction"):
        async with transaction(impatient, timeout_s=10) as tx:
            await dawdle(tx)


@pytest.mark.parametrize("use", [_core, _psycopg])
async def test_server_that_freezes_is_given_up_and_found_again(
    settings: Settings, use: Use
) -> None:
    async with Wire(settings.database_url).laid() as wire:
        through = msgspec.structs.replace(settings, database_url=wire.url)
        frozen = connect(through, name="t", ring=print)
        await in_transaction(frozen, use)

        wire.is_frozen = True
        with pytest.raises(Unavailable):
            async with asyncio.timeout(10), transaction(frozen, timeout_s=0.2) as tx:
                await use(tx)
        wire.is_frozen = False

        await in_transaction(frozen, use)
        await frozen.engine.dispose()


async def test_cancelled_use_of_a_frozen_server_is_given_up_as_well(settings: Settings) -> None:
    async with Wire(settings.database_url).laid() as wire:
        through = msgspec.structs.replace(settings, database_url=wire.url)
        frozen = connect(through, name="t", ring=print)
        await in_transaction(frozen, _psycopg)

        wire.is_frozen = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), transaction(frozen, timeout_s=0.5) as tx:
                await _psycopg(tx)
        wire.is_frozen = False

        await in_transaction(frozen, _psycopg)
        await frozen.engine.dispose()


async def test_empty_pool_is_an_outage(impatient: Database) -> None:
    patient = transaction(impatient, timeout_s=10), transaction(impatient, timeout_s=10)
    async with patient[0], patient[1]:
        with pytest.raises(Unavailable, match="QueuePool limit"):
            await in_transaction(impatient, _psycopg)

    await in_transaction(impatient, _psycopg)


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "postgresql:///?host=/no"])
async def test_server_that_is_not_there_is_an_outage(settings: Settings, url: str) -> None:
    away = connect(msgspec.structs.replace(settings, database_url=url), name="t", ring=print)

    with pytest.raises(Unavailable):
        await in_transaction(away, _psycopg)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
async def test_database_is_reached_by_whatever_a_platform_calls_it(
    settings: Settings, scheme: str
) -> None:
    url = f"{scheme}:{settings.database_url.partition(':')[2]}"
    reached = connect(msgspec.structs.replace(settings, database_url=url), name="t", ring=print)

    await in_transaction(reached, _psycopg)

    await reached.engine.dispose()


async def test_server_that_never_answers_is_given_up(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        deaf = connect(msgspec.structs.replace(settings, database_url=url), name="t", ring=print)

        with pytest.raises(Unavailable):
            await asyncio.wait_for(in_transaction(deaf, _psycopg), 10)


def test_missing_database_url_is_refused_with_the_remedy(settings: Settings) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL is empty: set it, or"):
        connect(msgspec.structs.replace(settings, database_url=""), name="t", ring=print)


async def test_session_has_the_timeouts_of_the_settings_and_counts_time_in_utc(
    database: Database,
) -> None:
    async with transaction(database) as tx:
        [row] = await fetch(
            tx,
            lambda *columns: columns,
            """
            SELECT current_setting('lock_timeout'), current_setting('statement_timeout'),
                   current_setting('idle_in_transaction_session_timeout'),
                   current_setting('TimeZone'), current_setting('application_name')
            """,
            {},
        )

    assert row == ("2s", "15s", "25s", "UTC", "orderflow tests")


async def test_cancelled_statement_gives_its_connection_back_fit_for_use(
    impatient: Database, admin: Admin
) -> None:
    backends: list[int] = []

    async def stuck() -> None:
        async with transaction(impatient) as tx:
            await run(tx, "SET LOCAL statement_timeout = 0", {})
            backends.append(await backend(tx))
            await run(tx, "SELECT pg_sleep(60)", {})

    async def sleeping() -> bool:
        query = "SELECT FROM pg_stat_activity WHERE pid = ANY (%s) AND wait_event = 'PgSleep'"
        return (await admin.execute(query, [backends])).rowcount == 1

    under_way = asyncio.create_task(stuck())
    await eventually(sleeping)
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way

    assert await _occupy(impatient, 2)
    assert not await sleeping()
