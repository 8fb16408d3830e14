"""A queue that is paused or limited gives out no more than it may, from the next claim on."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import queues, tasks, upkeep
from db.engine import Database, transaction
from domain.task import DONE, Kind, NewTask, Queue, State, Task, Verdict
from tests.db.backends import Admin, until_blocked

HOUSE = Queue.HOUSEKEEPING
LATER = Verdict(State.READY, "not yet", 60.0)


async def _schedule(tx: AsyncConnection, count: int) -> None:
    for _ in range(count):
        await tasks.schedule(tx, NewTask(Kind.PRUNE))


async def _lease(tx: AsyncConnection) -> list[Task]:
    return await tasks.lease(tx, HOUSE, limit=100, lease_s=30)


async def _limit(tx: AsyncConnection, *, paused: bool = False, most: int | None = None) -> None:
    await tx.execute(
        text("UPDATE queues SET paused = :paused, running_max = :most WHERE name = 'housekeeping'"),
        {"paused": paused, "most": most},
    )


async def test_paused_queue_gives_out_nothing_until_it_goes_on(tx: AsyncConnection) -> None:
    await _schedule(tx, 1)

    await _limit(tx, paused=True)
    assert await tasks.claim(tx, HOUSE, limit=10) == []
    assert await _lease(tx) == []

    await _limit(tx, paused=False)
    assert len(await tasks.claim(tx, HOUSE, limit=10)) == 1


async def test_limit_of_a_queue_leaves_room_only_for_what_does_not_run(tx: AsyncConnection) -> None:
    await _schedule(tx, 9)
    taken: list[int] = []
    for most in (0, 2, 2, 5, 3, None):
        await _limit(tx, most=most)
        taken.append(len(await _lease(tx)))

    assert taken == [0, 2, 0, 3, 0, 4]


async def test_ended_work_makes_room_below_the_limit(tx: AsyncConnection) -> None:
    await _schedule(tx, 3)
    await _limit(tx, most=2)
    [first, _] = await _lease(tx)

    await tasks.finish(tx, [(first, DONE)], leased=True)

    assert len(await _lease(tx)) == 1


async def test_two_workers_that_claim_at_once_stay_below_the_limit(
    database: Database, admin: Admin
) -> None:
    async with transaction(database) as tx:
        await _schedule(tx, 10)
        await _limit(tx, most=3)

    async def lease() -> int:
        async with transaction(database) as tx:
            return len(await _lease(tx))

    async with transaction(database) as first:
        taken = len(await _lease(first))
        second = asyncio.create_task(lease())
        await until_blocked(admin)

    assert (taken, await second) == (3, 0)


async def test_queues_are_due_that_have_work_which_may_run_now(tx: AsyncConnection) -> None:
    assert await upkeep.due_queues(tx) == frozenset()

    await _schedule(tx, 1)
    assert await upkeep.due_queues(tx) == {HOUSE}

    await _limit(tx, paused=True)
    assert await upkeep.due_queues(tx) == frozenset()

    await _limit(tx, paused=False)
    [task] = await _lease(tx)
    assert await upkeep.due_queues(tx) == frozenset()

    await tasks.finish(tx, [(task, LATER)], leased=True)
    assert await upkeep.due_queues(tx) == frozenset()


async def test_work_of_a_newer_version_is_left_alone_and_holds_up_nothing(
    tx: AsyncConnection,
) -> None:
    await _schedule(tx, 3)
    await tx.execute(
        text("UPDATE tasks SET kind = 'of_tomorrow' WHERE id = (SELECT min(id) FROM tasks)")
    )

    assert len(await tasks.claim(tx, HOUSE, limit=100)) == 2
    assert len(await tasks.lease(tx, HOUSE, limit=100, lease_s=-1)) == 2
    await tx.execute(
        text("UPDATE tasks SET state = 'running', lease_until = now() - interval '1 s'")
    )
    assert {task.kind for task in await upkeep.expired(tx)} == {Kind.PRUNE}


async def test_many_claimers_never_have_more_under_way_than_the_limit(database: Database) -> None:
    async with transaction(database) as tx:
        await _schedule(tx, 40)
        await _limit(tx, most=3)
    under_way: set[int] = set()
    seen: list[int] = []

    async def work() -> None:
        while len(done) < 40:
            async with transaction(database) as tx:
                mine = await _lease(tx)
            under_way.update(task.id for task in mine)
            seen.append(len(under_way))
            # Forgotten before the commit that makes room for others.
            under_way.difference_update(task.id for task in mine)
            async with transaction(database) as tx:
                done.update(await tasks.finish(tx, [(one, DONE) for one in mine], leased=True))

    done: set[int] = set()
    await asyncio.gather(*(work() for _ in range(6)))

    assert (len(done), max(seen)) == (40, 3)


async def test_draining_queue_does_what_was_there_and_is_then_paused(tx: AsyncConnection) -> None:
    await _schedule(tx, 2)
    draining = await queues.drain(tx, HOUSE, by=None)
    await _schedule(tx, 1)

    early = await queues.end_drains(tx)
    taken = await _lease(tx)
    while_running = await queues.end_drains(tx)
    await tasks.finish(tx, [(taken[0], DONE), (taken[1], LATER)], leased=True)

    assert (draining.draining, draining.paused, len(taken)) == (True, False, 2)
    assert await upkeep.due_queues(tx) == frozenset()
    assert (early, while_running, await queues.end_drains(tx)) == ([], [], ["housekeeping"])
    drained = await queues.get(tx, HOUSE)
    assert (drained.draining, drained.paused) == (False, True)
    assert (drained.ready, drained.scheduled, drained.running) == (2, 1, 0)


async def test_draining_queue_that_is_resumed_takes_on_what_comes(tx: AsyncConnection) -> None:
    await queues.drain(tx, HOUSE, by=None)
    await _schedule(tx, 1)
    assert await tasks.claim(tx, HOUSE, limit=9) == []

    await queues.put(tx, HOUSE, paused=False, running_max=None, by=None)

    [task] = await tasks.claim(tx, HOUSE, limit=9)
    assert await tasks.lease_one(tx, task, lease_s=30)
