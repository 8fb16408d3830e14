"""Any number of clocks may run: each slot of a job goes to one of them."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import cron
from db.engine import Database, transaction

# Slots of a century: no test meets the end of one.
CENTURY_S = 3_155_760_000


async def test_slot_is_taken_once(tx: AsyncConnection) -> None:
    taken = [await cron.take_slot(tx, "prune", every_s=CENTURY_S) for _ in range(3)]

    assert taken == [True, False, False]


async def test_jobs_have_slots_of_their_own(tx: AsyncConnection) -> None:
    assert await cron.take_slot(tx, "prune", every_s=CENTURY_S)
    assert await cron.take_slot(tx, "audit", every_s=CENTURY_S)


async def test_of_clocks_that_strike_at_once_one_wins(database: Database) -> None:
    async def strike() -> bool:
        async with transaction(database) as tx:
            return await cron.take_slot(tx, "prune", every_s=CENTURY_S)

    assert sorted(await asyncio.gather(*(strike() for _ in range(5)))) == [False] * 4 + [True]


async def test_slot_of_a_clock_that_died_before_its_commit_is_free(database: Database) -> None:
    async with transaction(database) as dying:
        assert await cron.take_slot(dying, "prune", every_s=CENTURY_S)
        await dying.rollback()

    async with transaction(database) as tx:
        assert await cron.take_slot(tx, "prune", every_s=CENTURY_S)


async def test_next_slot_is_free_and_slots_long_past_are_forgotten(tx: AsyncConnection) -> None:
    assert await cron.take_slot(tx, "prune", every_s=60)
    await tx.execute(text("UPDATE cron_runs SET slot = slot - interval '8 days'"))

    assert await cron.take_slot(tx, "prune", every_s=60)

    slots = (await tx.execute(text("SELECT count(*) FROM cron_runs"))).scalar_one()
    assert slots == 1
