"""The sweep: what it rings, takes back and schedules, by one clock or by many."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from psycopg.errors import UniqueViolation
from sqlalchemy import select, text

from db import tables, tasks
from db.engine import Database, transaction
from domain.task import BACKOFF_MAX_S, Kind, Queue
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.records import end_leases, expire, pause, status, work
from tests.stages import drain_inventory
from workers import clock


async def placed(database: Database, count: int = 1) -> list[UUID]:
    await put_products(database, APPLE=100)
    return await place(database, *(a_placement(("APPLE", 1)) for _ in range(count)))


async def leased(database: Database, settings: Settings, count: int = 1) -> list[UUID]:
    """Place orders whose charges a worker takes up and is never heard of again."""
    ids = await placed(database, count)
    await drain_inventory(database)
    async with transaction(database) as tx:
        lost = await tasks.lease(tx, Queue.PAYMENTS, limit=count, lease_s=settings.lease_s)
    assert len(lost) == count
    return ids


async def prunings(database: Database) -> Sequence[str]:
    """Read the states of the tasks to prune."""
    t = tables.tasks.c
    async with transaction(database) as tx:
        return (await tx.scalars(select(t.state).where(t.kind == Kind.PRUNE.value))).all()


async def test_work_that_was_never_rung_is_rung(
    database: Database, rung: list[frozenset[Queue]]
) -> None:
    await placed(database)
    rung.clear()

    await clock.ring(database)

    assert rung == [{Queue.INVENTORY}]


async def test_nothing_is_rung_for_nothing(
    database: Database, rung: list[frozenset[Queue]]
) -> None:
    await clock.ring(database)

    assert rung == []


async def test_paused_queue_is_not_rung_until_it_is_resumed(
    database: Database, rung: list[frozenset[Queue]]
) -> None:
    await placed(database)
    await pause(database, Queue.INVENTORY)
    rung.clear()

    await clock.ring(database)
    while_paused = list(rung)
    await pause(database, Queue.INVENTORY, paused=False)
    await clock.ring(database)

    assert while_paused == []
    assert rung == [{Queue.INVENTORY}]


async def test_work_of_a_lost_worker_is_taken_back_and_rung(
    database: Database, settings: Settings, rung: list[frozenset[Queue]]
) -> None:
    [order_id] = await leased(database, settings)
    await end_leases(database)
    rung.clear()

    await clock.run_once(database)

    task = await work(database, order_id, Kind.CHARGE)
    assert (task.state, task.attempt, task.last_error) == ("ready", 1, clock.LEASE_EXPIRED)
    assert Queue.PAYMENTS in frozenset().union(*rung)


async def test_worker_keeps_its_work_until_the_lease_is_over(
    database: Database, settings: Settings
) -> None:
    [order_id] = await leased(database, settings)

    await clock.run_once(database)

    assert (await work(database, order_id, Kind.CHARGE)).state == "running"


async def lose_workers(database: Database, settings: Settings, queue: Queue, times: int) -> None:
    """Have a queue's tasks, of which each has two tries, lose so many workers."""
    async with transaction(database) as tx:
        changed = "UPDATE tasks SET attempts_max = 2 WHERE queue = :queue"
        await tx.execute(text(changed), {"queue": queue.value})
    for _ in range(times):
        async with transaction(database) as tx:
            await tasks.lease(tx, queue, limit=1, lease_s=settings.lease_s)
        await end_leases(database)
        await clock.take_back(database)


async def test_task_that_lost_all_its_workers_is_dead_with_that_reason(
    database: Database, settings: Settings
) -> None:
    [order_id] = await placed(database)

    await lose_workers(database, settings, Queue.INVENTORY, 3)

    task = await work(database, order_id, Kind.RESERVE)
    assert (task.state, task.attempt, task.last_error) == ("dead", 2, clock.LEASE_EXPIRED)


async def test_charge_that_lost_all_its_workers_is_asked_after_hourly(
    database: Database, settings: Settings
) -> None:
    [order_id] = await placed(database)
    await drain_inventory(database)

    await lose_workers(database, settings, Queue.PAYMENTS, 3)

    task = await work(database, order_id, Kind.CHARGE)
    assert (task.state, task.attempt, task.last_error) == ("ready", 2, clock.LEASE_EXPIRED)
    assert BACKOFF_MAX_S - 60 < task.due_in_s <= BACKOFF_MAX_S


async def test_many_clocks_at_once_take_back_and_schedule_once(
    database: Database, settings: Settings
) -> None:
    ids = await leased(database, settings, 20)
    await end_leases(database)

    await asyncio.gather(*(clock.run_once(database) for _ in range(5)))

    taken_back = [await work(database, order_id, Kind.CHARGE) for order_id in ids]
    assert {(task.state, task.attempt) for task in taken_back} == {("ready", 1)}
    assert await prunings(database) == ["ready"]


async def test_part_of_the_sweep_that_fails_keeps_no_other_from_being_done(
    database: Database, rung: list[frozenset[Queue]]
) -> None:
    [broken] = await placed(database)
    await drain_inventory(database)
    await expire(database, broken)
    async with transaction(database) as tx:
        # What cannot be, so that the end of the reservation cannot be written.
        taken = "INSERT INTO order_events (order_id, version, kind, status, data)"
        await tx.execute(
            text(f"{taken} VALUES (:id, 3, 'order_paid', 'paid', '{{}}')"), {"id": broken}
        )
    await placed(database)
    rung.clear()

    await clock.run_once(database)

    assert await status(database, broken) == "reserved"
    assert any(Queue.INVENTORY in queues for queues in rung)
    assert await prunings(database) == ["ready"]


async def test_order_that_cannot_be_ended_keeps_no_other_from_it(database: Database) -> None:
    ids = await placed(database, 5)
    await drain_inventory(database)
    for order_id in ids:
        await expire(database, order_id)
    async with transaction(database) as tx:
        # What cannot be: the number of the event that would tell of the end is taken.
        taken = "INSERT INTO order_events (order_id, version, kind, status, data)"
        await tx.execute(
            text(f"{taken} VALUES (:id, 3, 'order_paid', 'paid', '{{}}')"), {"id": ids[1]}
        )

    with pytest.raises(UniqueViolation):
        await clock.expire(database)

    ended = ["cancelled"] * 5
    ended[1] = "reserved"
    assert [await status(database, order_id) for order_id in ids] == ended
