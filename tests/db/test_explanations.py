"""The facts of explanations, as Postgres has them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text

from db import breakers, explanations, orders, payables, payments, stock
from db.engine import Database, transaction
from db.ids import new_id
from db.stock import Terms
from domain import order, settlement
from domain.attempt import Window
from domain.backorder import Waiting
from domain.event import CancelReason, PaymentDisputed
from domain.explanation import Facts, QueueState, Subject
from domain.funds import Attempt, AttemptKind, AttemptState
from domain.payment import Declined, Succeeded
from domain.refusal import NotFound
from domain.status import Status
from domain.stock import Short
from domain.task import Kind, Queue, State
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.records import limit, pause
from tests.stages import drain_inventory

SETTINGS = Settings(lease_s=40.0, breaker_open_s=60.0, gateway_window_s=90.0)
LEASE, BREAKER_OPEN = timedelta(seconds=40), timedelta(seconds=60)


@pytest.fixture
async def order_id(database: Database) -> UUID:
    """A placed order of two apples."""
    await put_products(database, APPLE=10, PEAR=1)
    [placed] = await place(database, a_placement(("APPLE", 2)))
    return placed


async def _facts(database: Database, order_id: UUID) -> Facts:
    async with transaction(database) as tx:
        return await explanations.get(tx, order_id, SETTINGS)


async def _execute(database: Database, statement: str, **params: object) -> None:
    async with transaction(database) as tx:
        await tx.execute(text(statement), params)


async def test_placed_order_has_its_work_and_nothing_else(
    database: Database, order_id: UUID
) -> None:
    found = await _facts(database, order_id)

    told = found.order
    assert told == Subject(order_id, Status.PLACED, told.since, told.total)
    assert told.total.minor == 1000
    assert told.since <= found.now
    [task] = found.tasks
    assert (task.kind, task.state, task.attempt) == (Kind.RESERVE, State.READY, 0)
    assert (task.started_at, task.lease_until, task.finished_at) == (None, None, None)
    assert (found.attempts, found.breakers) == ([], [])
    assert found.queues == dict.fromkeys(Queue, QueueState())


async def test_status_is_as_old_as_the_event_that_brought_it(
    database: Database, order_id: UUID
) -> None:
    await drain_inventory(database)
    await _execute(database, "UPDATE order_events SET at = '2026-01-01' WHERE status = 'placed'")
    await _execute(
        database, "UPDATE order_events SET at = '2026-02-02 12:00' WHERE status = 'reserved'"
    )

    found = await _facts(database, order_id)

    assert (found.order.status, found.order.had_stock) == (Status.RESERVED, True)
    assert found.order.since.isoformat() == "2026-02-02T12:00:00+00:00"
    assert found.order.reserved_until is not None
    assert [task.kind for task in found.tasks] == [Kind.CHARGE]


async def test_cancelled_order_has_its_reason_and_what_was_short(
    database: Database, order_id: UUID
) -> None:
    [short] = await place(database, a_placement(("PEAR", 3)))
    await drain_inventory(database)
    async with transaction(database) as tx:
        await orders.change(
            tx, order_id, lambda o: order.cancel(o, reason=CancelReason.STAFF, detail="Asked for.")
        )

    by_staff, out = await _facts(database, order_id), await _facts(database, short)

    assert by_staff.order.cancelled is not None
    assert out.order.cancelled is not None
    assert (by_staff.order.cancelled.reason, by_staff.order.cancelled.detail) == (
        CancelReason.STAFF,
        "Asked for.",
    )
    assert out.order.cancelled.short == (Short("PEAR", 3, 1),)
    assert (by_staff.order.had_stock, out.order.had_stock) == (True, False)


async def test_newest_dispute_is_told_with_its_time(database: Database, order_id: UUID) -> None:
    before = (await _facts(database, order_id)).order
    for ref in ("du_1", "du_2"):
        asked = partial(settlement.dispute, dispute_ref=ref, amount_minor=300, reason="fraudulent")
        async with transaction(database) as tx:
            await orders.change(tx, order_id, asked)

    told = (await _facts(database, order_id)).order

    assert (before.disputed, before.disputed_at) == (None, None)
    assert told.disputed == PaymentDisputed("du_2", 300, "fraudulent")
    assert told.disputed_at is not None
    assert told.disputed_at >= told.since


async def test_backordered_order_names_what_is_short_now_or_else_what_gives_it_out(
    database: Database,
) -> None:
    await put_products(database, APPLE=10, PEAR=1)
    async with transaction(database) as tx:
        await stock.set_terms(tx, "PEAR", Terms(5))
    [waiting] = await place(database, a_placement(("APPLE", 2), ("PEAR", 3)))
    await drain_inventory(database)
    before = await _facts(database, waiting)
    async with transaction(database) as tx:
        await stock.put(tx, "PEAR", 3)

    after = await _facts(database, waiting)
    await _execute(
        database, "UPDATE tasks SET state = 'dead', finished_at = now() WHERE state = 'ready'"
    )
    given_up = await _facts(database, waiting)

    assert before.order.waiting == Waiting((Short("PEAR", 3, 1),))
    assert Kind.FILL_BACKORDERS not in {task.kind for task in before.tasks}
    assert after.order.waiting == given_up.order.waiting == Waiting()
    for told, state in ((after, State.READY), (given_up, State.DEAD)):
        [fill] = [task for task in told.tasks if task.kind is Kind.FILL_BACKORDERS]
        assert fill.state is state


async def test_running_and_dead_work_is_dated_and_done_work_left_out(
    database: Database, order_id: UUID
) -> None:
    async def tasks() -> Sequence[object]:
        return (await _facts(database, order_id)).tasks

    await _execute(
        database,
        "UPDATE tasks SET state = 'running', attempt = 1, lease_until = '2026-01-01 12:00:30'",
    )
    [running] = (await _facts(database, order_id)).tasks
    await _execute(
        database,
        "UPDATE tasks SET state = 'dead', lease_until = NULL, finished_at = '2026-01-01',"
        " last_error = 'Broken.'",
    )
    [dead] = (await _facts(database, order_id)).tasks
    await _execute(database, "UPDATE tasks SET state = 'done', last_error = NULL")

    assert running.started_at is not None
    assert running.lease_until is not None
    assert running.lease_until - running.started_at == LEASE
    assert dead.finished_at is not None
    assert (dead.state, dead.last_error) == (State.DEAD, "Broken.")
    assert await tasks() == []


async def test_attempts_are_told_as_they_are(database: Database, order_id: UUID) -> None:
    expires_at = datetime(2026, 12, 1, tzinfo=UTC)
    charge = Attempt(new_id(), AttemptKind.CHARGE, AttemptState.CREATED, 1000, "adyen")
    held = Attempt(new_id(), AttemptKind.AUTHORIZE, AttemptState.CREATED, 1000, "stripe")
    async with transaction(database) as tx:
        payable = await payables.lock(tx, order_id)
        await payments.send(tx, [(payable, charge)])
        await payments.settle(tx, [(charge, AttemptState.DECLINED, Declined("expired_card"))])
        await payments.send(tx, [(payable, held)])
        paid = Succeeded("pi_1", expires_at=expires_at)
        await payments.settle(tx, [(held, AttemptState.SUCCEEDED, paid)])

    # They were written at the same time.
    told = (await _facts(database, order_id)).attempts
    first, second = sorted(told, key=lambda attempt: attempt.gateway)

    assert (first.id, first.kind, first.state) == (charge.id, charge.kind, AttemptState.DECLINED)
    assert (first.gateway, first.error, first.expires_at) == ("adyen", "expired_card", None)
    assert first.sent_at is not None
    assert (second.id, second.kind, second.state) == (held.id, held.kind, AttemptState.SUCCEEDED)
    assert (second.gateway_ref, second.expires_at) == ("pi_1", expires_at)


async def test_gateways_have_the_time_that_the_settings_give_them(
    database: Database, order_id: UUID
) -> None:
    found = await _facts(database, order_id)

    assert found.window == Window(found.now, timedelta(seconds=90))


async def test_queues_tell_their_pause_and_how_full_they_are(
    database: Database, order_id: UUID
) -> None:
    await pause(database, Queue.PAYMENTS)
    await limit(database, Queue.INVENTORY, 4)
    await _execute(database, "UPDATE tasks SET state = 'running', attempt = 1, lease_until = now()")

    queues = (await _facts(database, order_id)).queues

    assert queues[Queue.PAYMENTS] == QueueState(paused=True)
    assert queues[Queue.INVENTORY] == QueueState(running_max=4, running=1)


async def test_breakers_that_are_not_closed_are_told_with_when_they_try_again(
    database: Database, order_id: UUID
) -> None:
    async with transaction(database) as tx:
        await breakers.put(tx, "stripe", "a:1", "open")
        await breakers.put(tx, "adyen", "a:1", "closed")

    [found] = (await _facts(database, order_id)).breakers

    assert (found.gateway, found.state, found.until - found.since) == (
        "stripe",
        "open",
        BREAKER_OPEN,
    )


async def test_facts_are_of_one_moment(database: Database, order_id: UUID) -> None:
    async with transaction(database) as reading:
        before = await explanations.get(reading, order_id, SETTINGS)
        await drain_inventory(database)
        told = await reading.scalar(text("SELECT status FROM orders"))

    assert (before.order.status, told) == (Status.PLACED, "placed")


async def test_order_that_is_not_there_has_no_facts(database: Database) -> None:
    with pytest.raises(NotFound, match="There is no order"):
        await _facts(database, new_id())
