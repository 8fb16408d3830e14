"""The auditor runs once a minute whatever the number of clocks, and tells what it found once."""

import asyncio
import logging

import msgspec
import pytest
from sqlalchemy import func, select, text

from db import audits, findings, readings, tables
from db.audits import Limits
from db.engine import Database, Unavailable, connect, transaction
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from workers import auditor

BROKEN = "S5 an order's total is what was accepted"


async def broken(database: Database) -> float:
    async with transaction(database) as tx:
        return (await readings.find(tx))["orderflow_invariant_violations"][BROKEN,]


async def slots(database: Database) -> int:
    query = select(func.count()).where(tables.cron_runs.c.job == "audit")
    async with transaction(database) as tx:
        return await tx.scalar(query) or 0


async def alter(database: Database, by: int) -> None:
    """Change what an order costs, as somebody might with psql."""
    async with transaction(database) as tx:
        changed = text("UPDATE orders SET total_minor = total_minor + :by")
        await tx.execute(changed, {"by": by})


@pytest.fixture
async def altered(database: Database) -> None:
    await put_products(database, lamp=10)
    await place(database, a_placement(("lamp", 1)))
    await alter(database, 1)


@pytest.mark.usefixtures("altered")
async def test_many_clocks_at_once_audit_once(database: Database) -> None:
    await asyncio.gather(*(auditor.run_once(database) for _ in range(5)))
    await alter(database, -1)
    await auditor.run_once(database)

    assert await slots(database) == 1
    # The minute is not over, so nobody has looked whether it was mended.
    assert await broken(database) == 1


@pytest.mark.usefixtures("altered")
async def test_what_is_found_is_logged_once_and_counted_until_it_is_mended(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        await auditor.audit(database)
        await auditor.audit(database)
    red = await broken(database)
    await alter(database, -1)
    await auditor.audit(database)

    [told] = caplog.messages
    assert told.startswith(BROKEN)
    assert (red, await broken(database)) == (1, 0)


async def test_audit_goes_on_until_all_that_changed_was_seen(database: Database) -> None:
    await put_products(database, lamp=100)
    for _ in range(5):
        await place(database, a_placement(("lamp", 1)))

    await auditor.audit(database, Limits(rolled=0, changed=2))

    async with transaction(database) as tx:
        left = await audits.look(tx, Limits(rolled=0))
    assert left is not None
    assert (left.orders, left.complete) == (0, True)


@pytest.fixture
async def hasty(settings: Settings) -> Database:
    """A database whose statements wait for no lock."""
    return connect(
        msgspec.structs.replace(settings, lock_timeout_s=0.01), name="hasty", ring=lambda _: None
    )


@pytest.mark.usefixtures("altered")
async def test_audit_that_fails_is_logged_and_the_next_one_sees_the_same(
    database: Database, hasty: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with transaction(database) as tx:
        await tx.exec_driver_sql("LOCK TABLE order_lines")
        await auditor.run_once(hasty)
    await hasty.engine.dispose()
    during = await broken(database)

    await auditor.audit(database)

    assert "The audit failed" in caplog.messages
    assert (during, await broken(database)) == (0, 1)


@pytest.mark.usefixtures("altered")
async def test_audit_leaves_what_another_one_is_at(database: Database) -> None:
    async with transaction(database) as tx:
        assert await audits.look(tx, Limits()) is not None
        await auditor.audit(database)
        found = await findings.page(tx, is_open=True, before=None, limit=10)

    assert len(found) == 1


async def test_outage_is_for_the_clock_to_tell_of(settings: Settings) -> None:
    nowhere = msgspec.structs.replace(settings, database_url="postgresql:///x?host=/nowhere")
    away = connect(nowhere, name="away", ring=lambda _: None)

    with pytest.raises(Unavailable):
        await auditor.run_once(away)

    await away.engine.dispose()
