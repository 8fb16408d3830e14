"""Work that waits for something else spends no try, and is done at once when it is called."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tables, tasks
from db.engine import Database, transaction
from domain.task import ATTEMPTS_MAX, Kind, NewTask, Queue, State, Task, Verdict
from tests.builders import a_placement, place, put_products

PAYMENTS = Queue.PAYMENTS
WAIT = Verdict(State.READY, "Another refund of this order is not settled.", 60.0, spent=False)
RETRY = Verdict(State.READY, "refused", 60.0)
PAYLOAD = {"attempt_id": "0198"}


@pytest.fixture
async def order_ids(database: Database) -> list[UUID]:
    await put_products(database, APPLE=10)
    return await place(database, a_placement(("APPLE", 1)), a_placement(("APPLE", 1)))


async def _schedule(tx: AsyncConnection, order_id: UUID, kind: Kind = Kind.REFUND) -> None:
    await tasks.schedule(tx, NewTask(kind, PAYLOAD), order_id=order_id)


async def _lease(tx: AsyncConnection) -> list[Task]:
    return await tasks.lease(tx, PAYMENTS, limit=10, lease_s=30)


async def _work(tx: AsyncConnection, *kinds: Kind) -> list[Any]:
    t = tables.tasks.c
    columns = (t.id, t.kind, t.order_id, t.payload, t.state, t.attempt, t.attempts_max)
    due = (t.run_at <= func.now()).label("due")
    query = select(*columns, due).where(t.kind.in_(kinds or [Kind.REFUND])).order_by(t.id)
    return list(await tx.execute(query))


async def test_work_for_an_order_that_does_not_change_is_written_and_rung(
    database: Database, order_ids: list[UUID], rung: list[frozenset[Queue]]
) -> None:
    rung.clear()

    async with transaction(database) as tx:
        await _schedule(tx, order_ids[0])

    async with transaction(database) as tx:
        [row] = await _work(tx)
    assert (row.order_id, row.payload, row.state) == (order_ids[0], PAYLOAD, "ready")
    assert (row.attempt, row.attempts_max) == (0, ATTEMPTS_MAX[Kind.REFUND])
    assert rung == [{PAYMENTS}]


@pytest.mark.parametrize("leased", [True, False])
async def test_attempt_that_is_not_spent_is_counted_and_given_back(
    tx: AsyncConnection, order_ids: list[UUID], *, leased: bool
) -> None:
    await _schedule(tx, order_ids[0])
    most = ATTEMPTS_MAX[Kind.REFUND]

    for nth, verdict in enumerate([WAIT, RETRY, WAIT, WAIT], 1):
        [task] = await (_lease(tx) if leased else tasks.claim(tx, PAYMENTS, limit=10))
        assert await tasks.finish(tx, [(task, verdict)], leased=leased) == {task.id}
        [row] = await _work(tx)
        assert (task.attempt, row.attempt) == (nth, nth)
        most += not verdict.spent
        assert row.attempts_max == most
        await tx.execute(text("UPDATE tasks SET run_at = now()"))

    assert most == ATTEMPTS_MAX[Kind.REFUND] + 3


async def test_worker_that_waited_too_long_cannot_end_what_another_one_waits_for(
    tx: AsyncConnection, order_ids: list[UUID]
) -> None:
    await _schedule(tx, order_ids[0])
    [late] = await _lease(tx)
    await tasks.finish(tx, [(late, WAIT)], leased=True)
    await tx.execute(text("UPDATE tasks SET run_at = now()"))
    [current] = await _lease(tx)

    assert await tasks.finish(tx, [(late, WAIT)], leased=True) == frozenset()

    assert await tasks.finish(tx, [(current, WAIT)], leased=True) == {current.id}
    [row] = await _work(tx)
    assert row.attempts_max == ATTEMPTS_MAX[Kind.REFUND] + 2


async def test_of_a_group_each_spends_for_itself(
    tx: AsyncConnection, order_ids: list[UUID]
) -> None:
    for order_id in order_ids:
        await _schedule(tx, order_id)
    one, other = await _lease(tx)

    await tasks.finish(tx, [(one, WAIT), (other, RETRY)], leased=True)

    most = ATTEMPTS_MAX[Kind.REFUND]
    assert [row.attempts_max for row in await _work(tx)] == [most + 1, most]


async def test_hurried_work_is_due_at_once_and_its_queue_rung(
    database: Database, order_ids: list[UUID], rung: list[frozenset[Queue]]
) -> None:
    async with transaction(database) as tx:
        for order_id in order_ids:
            await _schedule(tx, order_id)
            await _schedule(tx, order_id, Kind.NOTIFY)
        await tx.execute(text("UPDATE tasks SET run_at = now() + interval '1 h'"))
    rung.clear()

    async with transaction(database) as tx:
        await tasks.hurry(tx, order_ids[:1], PAYMENTS)

    async with transaction(database) as tx:
        work = await _work(tx, Kind.REFUND, Kind.NOTIFY)
    due = [(row.order_id, row.kind) for row in work if row.due]
    assert due == [(order_ids[0], "refund")]
    assert rung == [{PAYMENTS}]


async def test_work_that_runs_or_has_ended_is_not_hurried(
    tx: AsyncConnection, order_ids: list[UUID]
) -> None:
    for _ in range(2):
        await _schedule(tx, order_ids[0])
    running, ended = await _lease(tx)
    await tasks.finish(tx, [(ended, Verdict(State.DEAD, "no"))], leased=True)
    await tx.execute(text("UPDATE tasks SET run_at = now() + interval '1 h'"))

    await tasks.hurry(tx, order_ids, PAYMENTS)

    assert [row.due for row in await _work(tx)] == [False, False]
    assert await tasks.finish(tx, [(running, WAIT)], leased=True) == {running.id}


async def test_hurry_waits_for_nobody_who_is_claiming(
    database: Database, order_ids: list[UUID]
) -> None:
    async with transaction(database) as tx:
        await _schedule(tx, order_ids[0])
        await tx.execute(text("UPDATE tasks SET run_at = now() + interval '1 h'"))

    async with transaction(database) as claiming:
        await claiming.execute(text("SELECT FROM tasks FOR UPDATE"))
        async with transaction(database) as tx:
            await tasks.hurry(tx, order_ids, PAYMENTS)
            [row] = await _work(tx)

    assert not row.due
