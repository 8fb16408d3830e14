"""Work is claimed by one, ended only by who holds it, and never claimed while it may not run."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tables, tasks, upkeep
from db.engine import Database, transaction
from domain.task import DONE, Kind, NewTask, Queue, State, Task, Verdict
from tests.builders import a_placement, place, put_products
from tests.db.backends import Admin, until_blocked
from tests.records import pause

HOUSE = Queue.HOUSEKEEPING
LATER = Verdict(State.READY, "not yet", 60.0)


async def _schedule(tx: AsyncConnection, count: int) -> None:
    for _ in range(count):
        await tasks.schedule(tx, NewTask(Kind.PRUNE))


async def _committed(database: Database, count: int) -> None:
    async with transaction(database) as tx:
        await _schedule(tx, count)


async def _lease(tx: AsyncConnection, limit: int = 100, *, lease_s: float = 30) -> list[Task]:
    return await tasks.lease(tx, HOUSE, limit=limit, lease_s=lease_s)


async def _lost(tx: AsyncConnection, count: int) -> list[Task]:
    """Lease tasks for a worker that is gone since."""
    await _schedule(tx, count)
    return await _lease(tx, lease_s=-1)


async def _rows(tx: AsyncConnection) -> list[dict[str, Any]]:
    query = select(tables.tasks).order_by(tables.tasks.c.id)
    return [dict(row) for row in (await tx.execute(query)).mappings()]


async def _states(tx: AsyncConnection) -> list[tuple[str, int]]:
    return [(row["state"], row["attempt"]) for row in await _rows(tx)]


async def test_work_is_written_with_its_cause_and_its_queue_rung(
    database: Database, rung: list[frozenset[Queue]]
) -> None:
    await put_products(database, APPLE=1)
    [order_id] = await place(database, a_placement(("APPLE", 1)))

    async with transaction(database) as tx:
        [row] = await _rows(tx)

    assert (row["queue"], row["kind"], row["order_id"]) == ("inventory", "reserve", order_id)
    assert (row["state"], row["attempt"], row["attempts_max"]) == ("ready", 0, 8)
    assert rung == [{Queue.INVENTORY}]


async def test_claim_takes_what_is_due_oldest_first(tx: AsyncConnection) -> None:
    await _schedule(tx, 4)
    await tx.execute(text("UPDATE tasks SET run_at = now() - id * interval '1 minute'"))
    newest, third, second, oldest = [row["id"] for row in await _rows(tx)]

    claimed = await tasks.claim(tx, HOUSE, limit=3)

    assert [task.id for task in claimed] == [oldest, second, third]
    assert newest not in [task.id for task in claimed]
    assert {(task.kind, task.order_id, task.attempt) for task in claimed} == {(Kind.PRUNE, None, 1)}


async def test_claim_leaves_what_is_not_due_and_what_is_of_another_queue(
    tx: AsyncConnection,
) -> None:
    await _schedule(tx, 1)
    await tx.execute(text("UPDATE tasks SET run_at = now() + interval '1 s'"))
    await _schedule(tx, 1)

    assert len(await tasks.claim(tx, HOUSE, limit=10)) == 1
    assert await tasks.claim(tx, Queue.PAYMENTS, limit=10) == []


async def test_claim_passes_over_what_another_transaction_holds(database: Database) -> None:
    await _committed(database, 5)

    async with transaction(database) as one, transaction(database) as other:
        first = await tasks.claim(one, HOUSE, limit=3)
        second = await tasks.claim(other, HOUSE, limit=3)
        leased = await _lease(other, 3)

    assert len(first) == 3
    assert len(second) == 2
    assert not {task.id for task in first} & {task.id for task in second}
    assert {task.id for task in leased} == {task.id for task in second}


async def test_task_is_begun_once_a_transaction_that_held_it_is_over(database: Database) -> None:
    await _committed(database, 2)

    async with transaction(database) as tx:
        fresh = await tasks.claim(tx, HOUSE, limit=1)
        await tx.rollback()
    async with transaction(database) as tx:
        both = await tasks.claim(tx, HOUSE, limit=2)

    assert [task.begun for task in fresh] == [False]
    assert [task.begun for task in both] == [True, False]


async def test_leased_task_is_begun_once_a_lease_of_it_was_rolled_back(database: Database) -> None:
    await _committed(database, 2)

    async with transaction(database) as tx:
        fresh = await tasks.lease(tx, HOUSE, limit=1, lease_s=30)
        await tx.rollback()
    async with transaction(database) as tx:
        both = await tasks.lease(tx, HOUSE, limit=2, lease_s=30)

    assert [task.begun for task in fresh] == [False]
    assert {(task.id == fresh[0].id, task.begun, task.attempt) for task in both} == {
        (True, True, 1),
        (False, False, 1),
    }


async def test_task_whose_attempt_failed_is_begun(tx: AsyncConnection) -> None:
    await _schedule(tx, 1)
    [task] = await tasks.claim(tx, HOUSE, limit=1)
    await tasks.finish(tx, [(task, Verdict(State.READY, "once"))], leased=False)

    [again] = await tasks.claim(tx, HOUSE, limit=1)

    assert (again.begun, again.attempt) == (True, 2)


async def test_lease_of_one_counts_the_attempt_that_the_claim_announced(
    database: Database,
) -> None:
    await _committed(database, 1)
    async with transaction(database) as tx:
        [task] = await tasks.claim(tx, HOUSE, limit=1)

    async with transaction(database) as tx:
        leased = await tasks.lease_one(tx, task, lease_s=30)
        again = await tasks.lease_one(tx, task, lease_s=30)
        assert await _states(tx) == [("running", 1)]

    assert leased is not None
    assert (leased.id, leased.attempt, again) == (task.id, 1, None)


async def test_one_that_somebody_holds_or_whose_queue_is_paused_is_not_leased(
    database: Database,
) -> None:
    await _committed(database, 1)
    async with transaction(database) as one, transaction(database) as other:
        [task] = await tasks.claim(one, HOUSE, limit=1)
        held = await tasks.lease_one(other, task, lease_s=30)
    await pause(database, HOUSE)
    async with transaction(database) as tx:
        paused = await tasks.lease_one(tx, task, lease_s=30)

    assert (held, paused) == (None, None)


async def test_lease_outlives_its_transaction_and_counts_the_attempt(database: Database) -> None:
    await _committed(database, 1)

    async with transaction(database) as tx:
        [leased] = await _lease(tx, lease_s=30)

    async with transaction(database) as tx:
        [row] = await _rows(tx)
        assert await tasks.claim(tx, HOUSE, limit=10) == []
        assert await _lease(tx) == []
    assert (leased.attempt, row["state"], row["attempt"]) == (1, "running", 1)
    assert 25 < (row["lease_until"] - datetime.now(UTC)).total_seconds() < 31


async def test_lease_of_a_worker_that_dies_before_commit_is_no_lease(database: Database) -> None:
    await _committed(database, 1)

    async def die() -> None:
        async with transaction(database) as tx:
            await _lease(tx)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await die()

    async with transaction(database) as tx:
        assert await _states(tx) == [("ready", 0)]


@pytest.mark.parametrize("verdict", [DONE, LATER, Verdict(State.DEAD, "gave up")])
async def test_finished_attempt_has_its_end_and_its_reason(
    tx: AsyncConnection, verdict: Verdict
) -> None:
    await _schedule(tx, 1)
    [task] = await _lease(tx)

    assert await tasks.finish(tx, [(task, verdict)], leased=True) == {task.id}

    [row] = await _rows(tx)
    assert (row["state"], row["last_error"], row["attempt"]) == (verdict.state, verdict.error, 1)
    assert (row["finished_at"] is None) == (verdict.state is State.READY)
    assert row["lease_until"] is None
    delay_s = (row["run_at"] - row["created_at"]).total_seconds()
    assert delay_s == (60 if verdict.state is State.READY else 0)


@pytest.mark.parametrize("verdict", [DONE, LATER, Verdict(State.DEAD, "gave up")])
async def test_stale_attempt_changes_nothing(tx: AsyncConnection, verdict: Verdict) -> None:
    await _schedule(tx, 1)
    [stale] = await _lease(tx)
    await tasks.finish(tx, [(stale, Verdict(State.READY))], leased=True)
    await _lease(tx)
    before = await _rows(tx)

    assert await tasks.finish(tx, [(stale, verdict)], leased=True) == frozenset()

    assert await _rows(tx) == before


@pytest.mark.parametrize("end", [DONE, LATER, Verdict(State.DEAD), Verdict(State.CANCELLED)])
async def test_task_that_has_ended_cannot_be_ended_again(tx: AsyncConnection, end: Verdict) -> None:
    await _schedule(tx, 1)
    [task] = await _lease(tx)
    await tasks.finish(tx, [(task, end)], leased=True)
    before = await _rows(tx)

    for verdict in (DONE, LATER):
        assert await tasks.finish(tx, [(task, verdict)], leased=True) == frozenset()

    assert await _rows(tx) == before


async def test_attempt_can_be_ended_only_as_what_it_is(tx: AsyncConnection) -> None:
    await _schedule(tx, 2)
    [leased] = await _lease(tx, 1)
    [claimed] = await tasks.claim(tx, HOUSE, limit=1)

    assert await tasks.finish(tx, [(leased, DONE)], leased=False) == frozenset()
    assert await tasks.finish(tx, [(claimed, DONE)], leased=True) == frozenset()
    assert await _states(tx) == [("running", 1), ("ready", 0)]


async def test_claimed_work_that_ends_has_its_attempt_counted(tx: AsyncConnection) -> None:
    await _schedule(tx, 1)
    [task] = await tasks.claim(tx, HOUSE, limit=1)
    await tasks.finish(tx, [(task, Verdict(State.READY, "once"))], leased=False)
    [again] = await tasks.claim(tx, HOUSE, limit=1)

    assert again.attempt == 2
    assert await tasks.finish(tx, [(task, DONE)], leased=False) == frozenset()
    assert await tasks.finish(tx, [(again, DONE)], leased=False) == {task.id}
    assert await _states(tx) == [("done", 2)]


async def test_of_a_group_only_what_is_still_ours_is_ended(tx: AsyncConnection) -> None:
    await _schedule(tx, 3)
    first, second, third = await _lease(tx)
    await tasks.finish(tx, [(second, DONE)], leased=True)

    ours = await tasks.finish(tx, [(t, LATER) for t in (first, second, third)], leased=True)

    assert ours == {first.id, third.id}
    assert await _states(tx) == [("ready", 1), ("done", 1), ("ready", 1)]


async def test_nothing_to_end_ends_nothing(tx: AsyncConnection) -> None:
    assert await tasks.finish(tx, [], leased=True) == frozenset()


async def test_reason_fits_whatever_was_raised(tx: AsyncConnection) -> None:
    await _schedule(tx, 1)
    [task] = await _lease(tx)

    await tasks.finish(tx, [(task, Verdict(State.DEAD, "nul\0" + "x" * 5000))], leased=True)

    [row] = await _rows(tx)
    assert row["last_error"] == "nul" + "x" * (tasks.ERROR_LENGTH_MAX - 3)


async def test_only_leases_that_ran_out_are_expired(tx: AsyncConnection) -> None:
    lost = await _lost(tx, 2)
    await _schedule(tx, 1)
    await _lease(tx)

    assert {task.id for task in await upkeep.expired(tx)} == {task.id for task in lost}
    assert [task.attempt for task in await upkeep.expired(tx)] == [1, 1]


async def test_two_clocks_take_back_a_lost_task_once(database: Database) -> None:
    async with transaction(database) as tx:
        await _lost(tx, 3)

    async with transaction(database) as one, transaction(database) as other:
        assert len(await upkeep.expired(one)) == 3
        assert await upkeep.expired(other) == []


async def test_worker_that_comes_back_while_its_task_is_taken_away_loses(
    database: Database, admin: Admin
) -> None:
    async with transaction(database) as tx:
        [late] = await _lost(tx, 1)

    async def come_back() -> frozenset[int]:
        async with transaction(database) as tx:
            return await tasks.finish(tx, [(late, DONE)], leased=True)

    async with transaction(database) as clock:
        [lost] = await upkeep.expired(clock)
        await tasks.finish(clock, [(lost, Verdict(State.READY, "lost"))], leased=True)
        back = asyncio.create_task(come_back())
        await until_blocked(admin)

    assert await back == frozenset()
    async with transaction(database) as tx:
        assert await _states(tx) == [("ready", 1)]


async def test_pruning_deletes_only_done_tasks_that_are_old(tx: AsyncConnection) -> None:
    await _schedule(tx, 5)
    old_done, old_dead, _, new_done, ready = await _lease(tx)
    ends = [(old_done, DONE), (old_dead, Verdict(State.DEAD)), (new_done, DONE), (ready, LATER)]
    await tasks.finish(tx, ends, leased=True)
    await tx.execute(
        text("UPDATE tasks SET finished_at = now() - interval '8 days' WHERE id = ANY (:ids)"),
        {"ids": [old_done.id, old_dead.id]},
    )

    assert await upkeep.prune(tx, keep_days=7, limit=100) == 1

    assert await _states(tx) == [("dead", 1), ("running", 1), ("done", 1), ("ready", 1)]


async def test_pruning_goes_in_batches_oldest_first(tx: AsyncConnection) -> None:
    await _schedule(tx, 5)
    leased = await _lease(tx)
    await tasks.finish(tx, [(task, DONE) for task in leased], leased=True)
    await tx.execute(text("UPDATE tasks SET finished_at = now() - interval '8 days'"))

    assert [await upkeep.prune(tx, keep_days=7, limit=2) for _ in range(4)] == [2, 2, 1, 0]
