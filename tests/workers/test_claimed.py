"""Stages that touch only Postgres: groups, halves, attempts."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tasks
from db.engine import Database, Unavailable, connect, transaction
from domain.task import Kind, Queue, Task
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.records import assert_sound, limit, make_due, pause, statuses, terminate, work
from tests.stages import LEASE_S, drain_inventory
from tests.workers.looking import WORKER, looking
from workers import claimed, inventory
from workers.bell import Bell

# Only a failure waits this long.
GIVEN_UP_WITHIN_S = 10.0


@pytest.fixture
async def worker(settings: Settings, database: Database) -> AsyncGenerator[Database]:
    """The connections of a worker, apart from those of the test."""
    made = connect(settings, name=WORKER, ring=database.ring)
    yield made
    await made.engine.dispose()


async def placed(database: Database, count: int) -> list[UUID]:
    await put_products(database, APPLE=100)
    return await place(database, *(a_placement(("APPLE", 1)) for _ in range(count)))


async def poison(database: Database, order_id: UUID, *, attempts_max: int = 8) -> None:
    """Take an order's lines away, which nothing here is prepared for."""
    async with transaction(database) as tx:
        await tx.execute(text("DELETE FROM order_lines WHERE order_id = :id"), {"id": order_id})
        change = text("UPDATE tasks SET attempts_max = :most WHERE order_id = :id")
        await tx.execute(change, {"id": order_id, "most": attempts_max})


async def test_poisoned_member_fails_alone_and_is_tried_again_later(database: Database) -> None:
    ids = await placed(database, 7)
    await poison(database, ids[3])

    await drain_inventory(database)

    assert await statuses(database) == {"reserved": 6, "placed": 1}
    task = await work(database, ids[3], Kind.RESERVE)
    assert (task.state, task.attempt) == ("ready", 1)
    assert str(ids[3]) in (task.last_error or "")


async def test_poisoned_member_is_dead_with_its_reason_once_its_attempts_are_spent(
    database: Database,
) -> None:
    first, poisoned = await placed(database, 2)
    await poison(database, poisoned, attempts_max=3)

    for _ in range(4):
        await drain_inventory(database)
        await make_due(database)

    task = await work(database, poisoned, Kind.RESERVE)
    assert (task.state, task.attempt) == ("dead", 3)
    assert str(poisoned) in (task.last_error or "")
    assert (await work(database, first, Kind.RESERVE)).state == "done"


async def test_what_a_lost_worker_had_begun_is_done_by_the_next_drain(database: Database) -> None:
    ids = await placed(database, 3)
    async with transaction(database) as lost:
        await tasks.claim(lost, Queue.INVENTORY, limit=2)
        await lost.rollback()

    await drain_inventory(database)

    assert await statuses(database) == {"reserved": 3}
    attempts = [(await work(database, order_id, Kind.RESERVE)).attempt for order_id in ids]
    assert attempts == [1, 1, 1]


async def test_task_is_begun_alone_only_after_its_attempt_is_counted(database: Database) -> None:
    first, second = await placed(database, 2)
    counted: list[tuple[int, int, str]] = []

    async def counting(tx: AsyncConnection, group: Sequence[Task]) -> None:
        task = await work(database, second, Kind.RESERVE)
        counted.append((len(group), task.attempt, task.state))
        if len(group) > 1:
            raise RuntimeError("Only alone.")
        await inventory.reserve(tx, group)

    stage = claimed.Stage(database, Queue.INVENTORY, counting, group_max=3, lease_s=LEASE_S)
    await Bell(partial(claimed.drain, stage)).answer()

    assert counted == [(2, 0, "ready"), (1, 0, "ready"), (1, 1, "running")]
    assert (await work(database, first, Kind.RESERVE)).state == "done"


async def test_work_that_never_ends_is_given_up(database: Database) -> None:
    [stuck] = await placed(database, 1)

    async def wait(tx: AsyncConnection, group: Sequence[Task]) -> None:
        del tx, group
        await asyncio.Event().wait()

    stage = claimed.Stage(database, Queue.INVENTORY, wait, group_max=3, lease_s=0.05)
    draining = asyncio.create_task(Bell(partial(claimed.drain, stage)).answer())
    done, _ = await asyncio.wait({draining}, timeout=GIVEN_UP_WITHIN_S)
    draining.cancel()

    assert done
    task = await work(database, stuck, Kind.RESERVE)
    assert (task.state, task.attempt, task.last_error) == ("ready", 1, "TimeoutError: ")


async def test_one_ring_is_enough_however_small_the_groups_are(database: Database) -> None:
    await placed(database, 7)
    await limit(database, Queue.INVENTORY, 2)

    await drain_inventory(database)

    assert await statuses(database) == {"reserved": 7}


async def test_paused_queue_holds_its_work(database: Database) -> None:
    await placed(database, 2)
    await pause(database, Queue.INVENTORY)

    await drain_inventory(database)
    held = await statuses(database)
    await pause(database, Queue.INVENTORY, paused=False)
    await drain_inventory(database)

    assert held == {"placed": 2}
    assert await statuses(database) == {"reserved": 2}


async def test_full_group_invites_other_processes_and_a_small_one_does_not(
    database: Database,
) -> None:
    stage = claimed.Stage(
        database, Queue.INVENTORY, inventory.reserve, group_max=3, lease_s=LEASE_S
    )
    invited: list[bool] = []
    bell = Bell(partial(claimed.drain, stage), invite=lambda: invited.append(True))

    await placed(database, 2)
    await bell.answer()
    assert not invited

    await placed(database, 6)
    await bell.answer()
    assert len(invited) == 2


async def test_drains_of_two_processes_share_the_work_without_doing_it_twice(
    database: Database,
) -> None:
    ids = await placed(database, 40)
    done: list[UUID | None] = []

    async def noted(tx: AsyncConnection, group: Sequence[Task]) -> None:
        await inventory.reserve(tx, group)
        done.extend(task.order_id for task in group)

    stage = claimed.Stage(database, Queue.INVENTORY, noted, group_max=3, lease_s=LEASE_S)
    await asyncio.gather(*(Bell(partial(claimed.drain, stage)).answer() for _ in range(4)))

    assert sorted(map(str, done)) == sorted(map(str, ids))
    await assert_sound(database)


@pytest.fixture
async def cut_off(settings: Settings) -> AsyncGenerator[Database]:
    """A database that cannot be reached."""
    nowhere = msgspec.structs.replace(settings, database_url="postgresql:///?host=/nonexistent")
    made = connect(nowhere, name="orderflow tests", ring=lambda _: None)
    yield made
    await made.engine.dispose()


async def test_drain_ends_quietly_while_the_database_is_away(cut_off: Database) -> None:
    stage = claimed.Stage(cut_off, Queue.INVENTORY, inventory.reserve, group_max=3, lease_s=LEASE_S)

    with pytest.raises(Unavailable):
        await claimed.run_once(stage, Bell(partial(claimed.drain, stage)))

    await Bell(partial(claimed.drain, stage)).answer()


async def test_first_ring_after_a_restart_of_postgres_is_answered(
    database: Database, worker: Database
) -> None:
    await placed(database, 1)
    await drain_inventory(worker)
    await terminate(database)

    await placed(database, 1)
    await drain_inventory(worker)

    assert await statuses(database) == {"reserved": 2}


async def test_ring_that_comes_while_the_worker_looks_in_vain_makes_it_look_again(
    database: Database, worker: Database
) -> None:
    stage = claimed.Stage(worker, Queue.INVENTORY, inventory.reserve, group_max=3, lease_s=LEASE_S)
    bell = Bell(partial(claimed.drain, stage))
    async with looking(database, Queue.INVENTORY, bell) as answering:
        await placed(database, 1)
        assert bell.hear()
    await answering

    assert await statuses(database) == {"reserved": 1}
