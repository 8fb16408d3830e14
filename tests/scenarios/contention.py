"""Two that want to change one order at the same time: both stand before its lock, then it opens."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from sqlalchemy import text

from db import orders
from db.engine import Database, transaction
from domain.refusal import Refusal
from tests.records import be_patient
from tests.waiting import eventually

# What somebody does to an order; it may be refused.
Doing = Callable[[], Awaitable[object]]


async def done(doing: Doing) -> str | None:
    """Do it; gives the code of the refusal, None if there was none."""
    try:
        await doing()
    except Refusal as refusal:
        return refusal.code
    return None


async def one_after_the_other(*doings: Doing) -> list[str | None]:
    return [await done(doing) for doing in doings]


async def at_once(database: Database, order_id: UUID, *doings: Doing) -> list[str | None]:
    """Have all of them wait for the order's lock, or pass by, before any goes on."""
    async with transaction(database) as tx:
        await be_patient(tx)
        await orders.lock(tx, [order_id])
        doing = [asyncio.create_task(done(each)) for each in doings]
        await eventually(partial(_all_stand, database, doing))
    return await asyncio.gather(*doing)


async def _all_stand(database: Database, doing: list[asyncio.Task[str | None]]) -> bool:
    async with transaction(database) as tx:
        found = await tx.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
        return found.scalar_one() + sum(each.done() for each in doing) >= len(doing)
