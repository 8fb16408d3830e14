"""Any number of clocks may run: what they see to is seen to once."""

from functools import partial

from sqlalchemy import func, select

from db import tables
from db.engine import Database, transaction
from domain.task import Kind
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.records import assert_sound, at_rest, end_leases, statuses
from tests.scenarios.processes import Surroundings, running
from tests.waiting import eventually

ORDERS = 20


async def prunings(database: Database) -> list[str]:
    """Read the states of the tasks to prune."""
    t = tables.tasks.c
    async with transaction(database) as tx:
        return list(await tx.scalars(select(t.state).where(t.kind == Kind.PRUNE.value)))


async def slots(database: Database) -> int:
    """Count the slots of prunings that were taken."""
    query = select(func.count()).where(tables.cron_runs.c.job == Kind.PRUNE.value)
    async with transaction(database) as tx:
        return await tx.scalar(query) or 0


async def test_two_clocks_do_nothing_twice(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=100)
    await place(database, *(a_placement(("APPLE", 1)) for _ in range(ORDERS)))
    bank.exit.shut()
    async with running(surroundings, "worker-1", "clock-1", "clock-2") as fleet:
        await bank.exit.until_waiting(ORDERS)
        await fleet.kill("worker-1")
        await bank.exit.open()
        await end_leases(database)
        await eventually(partial(at_rest, database))

        async def pruned() -> bool:
            return "done" in await prunings(database)

        await eventually(pruned)

    assert await statuses(database) == {"paid": ORDERS}
    assert sorted(bank.verbs()) == ["charge"] * ORDERS + ["find"] * ORDERS
    assert len(await prunings(database)) == await slots(database)
    await assert_sound(database)
