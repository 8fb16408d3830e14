"""Housekeeping: what is done and old goes, and nothing else."""

from functools import partial

from sqlalchemy import func, select, text

from db import tables, tasks
from db.engine import Database, transaction
from domain.task import Kind, NewTask, Queue
from tests.builders import a_placement, place, put_products
from tests.stages import LEASE_S, drain_inventory
from workers import claimed, housekeeping
from workers.bell import Bell


async def prune(database: Database, *, batch_max: int = 100) -> None:
    """Have the stage do one pruning, as the clock asks for it."""
    async with transaction(database) as tx:
        await tasks.schedule(tx, NewTask(Kind.PRUNE))
    effect = partial(housekeeping.prune, batch_max=batch_max)
    stage = claimed.Stage(database, Queue.HOUSEKEEPING, effect, 1, LEASE_S)
    await Bell(partial(claimed.drain, stage)).answer()


async def kept(database: Database) -> tuple[list[str], int]:
    """Read the kinds of tasks there are, and count the idempotency keys."""
    async with transaction(database) as tx:
        kinds = await tx.scalars(select(tables.tasks.c.kind).order_by(tables.tasks.c.id))
        keys = await tx.scalar(select(func.count()).select_from(tables.idempotency_keys))
        return list(kinds), keys or 0


async def finished_long_ago(database: Database) -> None:
    """Let more days pass than anything done is kept."""
    async with transaction(database) as tx:
        for past in (
            "UPDATE tasks SET finished_at = now() - interval '8 days' WHERE state = 'done'",
            "UPDATE idempotency_keys SET created_at = now() - interval '4 days'",
        ):
            await tx.execute(text(past))


async def test_old_done_tasks_and_keys_go_and_open_work_stays(database: Database) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 1)))
    await drain_inventory(database)
    await finished_long_ago(database)

    await prune(database)

    assert await kept(database) == (["charge", "prune"], 0)


async def test_what_is_recent_is_kept(database: Database) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 1)))
    await drain_inventory(database)

    await prune(database)

    assert await kept(database) == (["reserve", "charge", "prune"], 1)


async def test_one_pruning_goes_on_until_nothing_old_is_left(database: Database) -> None:
    await put_products(database, APPLE=10)
    await place(database, *(a_placement(("APPLE", 1)) for _ in range(5)))
    await drain_inventory(database)
    await finished_long_ago(database)

    await prune(database, batch_max=2)

    kinds, keys = await kept(database)
    assert "reserve" not in kinds
    assert keys == 0
