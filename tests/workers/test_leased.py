"""Stages that work outside the database, driven through payments and notifications."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import orders, tasks
from db.engine import Database, connect, transaction
from domain.task import Kind, Queue, Task, Verdict
from ops.config import Settings
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.postbox import Postbox
from tests.records import attempts, limit, make_due, status, statuses, terminate, work
from tests.stages import a_cashier, drain_inventory, drain_notifications, drain_payments
from tests.waiting import eventually
from tests.workers.looking import WORKER, looking
from workers import leased, payments
from workers.bell import Bell


@pytest.fixture
def lock_timeout_s() -> float:
    return 2.0


@pytest.fixture
def settings(settings: Settings, lock_timeout_s: float) -> Settings:
    return msgspec.structs.replace(settings, lock_timeout_s=lock_timeout_s)


@pytest.fixture
async def worker(settings: Settings, database: Database) -> AsyncGenerator[Database]:
    """The connections of a worker, apart from those of the test."""
    made = connect(settings, name=WORKER, ring=database.ring)
    yield made
    await made.engine.dispose()


@pytest.fixture
def bell(worker: Database, settings: Settings, bank: Bank) -> Bell:
    """The bell of a worker's payments."""
    stage = payments.stage(a_cashier(worker, settings, bank))
    return Bell(partial(leased.drain, stage))


async def reserved(database: Database, *emails: str) -> list[UUID]:
    """Place an order for each address and hold its stock."""
    await put_products(database, APPLE=100)
    ids = await place(database, *(a_placement(("APPLE", 1), email=email) for email in emails))
    await drain_inventory(database)
    return ids


async def poison_mail(database: Database, order_id: UUID, *, attempts_max: int = 20) -> None:
    """Have the task to notify ask for a notice nobody can write."""
    async with transaction(database) as tx:
        await tx.execute(
            text(
                """
                UPDATE tasks SET payload = '{"notice": "horoscope"}', attempts_max = :attempts_max
                WHERE order_id = :order_id AND kind = 'notify'
                """
            ),
            {"order_id": order_id, "attempts_max": attempts_max},
        )


async def hold_back(database: Database, order_id: UUID) -> None:
    """Have the work for an order become due later."""
    async with transaction(database) as tx:
        due = text("UPDATE tasks SET run_at = now() + interval '1 hour' WHERE order_id = :id")
        await tx.execute(due, {"id": order_id})


@asynccontextmanager
async def lock_of(database: Database, order_id: UUID) -> AsyncGenerator[None]:
    """Hold the row lock of an order, as somebody does who changes it."""
    async with transaction(database) as tx:
        await orders.lock(tx, [order_id])
        yield


async def failed(database: Database, order_id: UUID) -> bool:
    """Tell whether an attempt at charging the order has come to nothing."""
    return (await work(database, order_id, Kind.CHARGE)).last_error is not None


async def test_poisoned_task_fails_alone_and_is_tried_again_later(
    database: Database, settings: Settings
) -> None:
    postbox = Postbox()
    first, poisoned, last = await reserved(database, "a@x.org", "b@x.org", "c@x.org")
    await drain_payments(database, settings, Bank())
    await poison_mail(database, poisoned)

    await drain_notifications(database, settings, postbox)

    assert sorted(mail.to for mail in postbox.mails) == ["a@x.org", "c@x.org"]
    assert [(await work(database, o, Kind.NOTIFY)).state for o in (first, last)] == ["done"] * 2
    task = await work(database, poisoned, Kind.NOTIFY)
    assert (task.state, task.attempt) == ("ready", 1)
    assert "horoscope" in (task.last_error or "")


async def test_poisoned_task_is_dead_with_its_reason_once_its_attempts_are_spent(
    database: Database, settings: Settings
) -> None:
    [order_id] = await reserved(database, "a@x.org")
    await drain_payments(database, settings, Bank())
    await poison_mail(database, order_id, attempts_max=2)

    for _ in range(3):
        await drain_notifications(database, settings, Postbox())
        await make_due(database)

    task = await work(database, order_id, Kind.NOTIFY)
    assert (task.state, task.attempt) == ("dead", 2)
    assert "horoscope" in (task.last_error or "")


async def test_task_that_was_begun_before_is_prepared_alone_once_its_attempt_is_counted(
    database: Database, settings: Settings, bank: Bank
) -> None:
    ids = await reserved(database, "a@x.org", "b@x.org", "c@x.org")
    async with transaction(database) as tx:
        [lost] = await tasks.lease(tx, Queue.PAYMENTS, limit=1, lease_s=30.0)
        await tx.rollback()
    sound = payments.stage(a_cashier(database, settings, bank))
    seen: list[list[tuple[UUID, int]]] = []

    async def prepare(
        tx: AsyncConnection, group: Sequence[Task]
    ) -> Sequence[payments.Step | Verdict]:
        asked = [leased.order_of(task) for task in group]
        seen.append(sorted([(o, (await work(database, o, Kind.CHARGE)).attempt) for o in asked]))
        return await sound.prepare(tx, group)

    stage = msgspec.structs.replace(sound, prepare=prepare)
    await Bell(partial(leased.drain, stage)).answer()

    begun = leased.order_of(lost)
    assert seen == [sorted((o, 0) for o in ids if o != begun), [(begun, 1)]]
    assert await statuses(database) == {"paid": 3}


@pytest.mark.parametrize("lock_timeout_s", [0.1])
async def test_claim_that_fails_loses_no_result_of_calls_under_way(
    database: Database, bank: Bank, bell: Bell
) -> None:
    slow, locked = await reserved(database, "slow@x.org", "locked@x.org")
    await hold_back(database, locked)
    bank.exit.shut(slow)
    draining = asyncio.create_task(bell.answer())
    await bank.exit.until_waiting()

    async with lock_of(database, locked):
        await make_due(database)
        assert bell.hear()
        await eventually(partial(failed, database, locked))
    await bank.exit.open()
    await draining

    assert await status(database, slow) == "paid"
    await make_due(database)
    await bell.answer()
    assert await status(database, locked) == "paid"
    assert bank.verbs() == ["charge", "charge"]


async def test_call_is_made_only_once_everybody_can_see_that_it_is(
    database: Database, bank: Bank, bell: Bell
) -> None:
    [order_id] = await reserved(database, "a@x.org")
    bank.entrance.shut()
    draining = asyncio.create_task(bell.answer())
    await bank.entrance.until_waiting()

    task, tried = await work(database, order_id, Kind.CHARGE), await attempts(database, order_id)
    await bank.entrance.open()
    await draining

    assert (task.state, task.attempt) == ("running", 1)
    assert tried == [("charge", "sent")]


async def test_slow_call_holds_up_no_other_payment(
    database: Database, bank: Bank, bell: Bell
) -> None:
    [slow] = await reserved(database, "slow@x.org")
    bank.entrance.shut(slow)
    draining = asyncio.create_task(bell.answer())
    await bank.entrance.until_waiting()

    others = await reserved(database, *(f"{n}@x.org" for n in range(5)))
    assert bell.hear()

    async def others_paid() -> bool:
        return await statuses(database) == {"reserved": 1, "paid": len(others)}

    await eventually(others_paid)
    await bank.entrance.open()
    await draining
    assert await statuses(database) == {"paid": 1 + len(others)}


async def test_one_ring_is_enough_for_a_queue_with_a_limit(
    database: Database, bank: Bank, bell: Bell
) -> None:
    await reserved(database, *(f"{n}@x.org" for n in range(7)))
    await limit(database, Queue.PAYMENTS, 2)
    bank.entrance.shut()
    draining = asyncio.create_task(bell.answer())
    await bank.entrance.until_waiting(2)
    await bank.entrance.open()
    await draining

    assert bank.most_at_once == 2
    assert await statuses(database) == {"paid": 7}


async def test_results_are_recorded_although_the_connections_broke_meanwhile(
    database: Database, bank: Bank, bell: Bell
) -> None:
    await reserved(database, *(f"{n}@x.org" for n in range(3)))
    bank.exit.shut()
    draining = asyncio.create_task(bell.answer())
    await bank.exit.until_waiting(3)

    await terminate(database)
    await bank.exit.open()
    await draining

    assert await statuses(database) == {"paid": 3}
    assert bank.verbs() == ["charge"] * 3


async def test_ring_that_comes_while_the_worker_looks_in_vain_makes_it_look_again(
    database: Database, bell: Bell
) -> None:
    async with looking(database, Queue.PAYMENTS, bell) as answering:
        await reserved(database, "a@x.org")
        assert bell.hear()
    await answering

    assert await statuses(database) == {"paid": 1}


async def test_stopping_worker_ends_what_is_under_way_and_begins_nothing(
    database: Database, bank: Bank, bell: Bell
) -> None:
    first, second = await reserved(database, "first@x.org", "second@x.org")
    bank.exit.shut(first)
    bank.entrance.shut(second)
    draining = asyncio.create_task(bell.answer())
    await bank.exit.until_waiting()
    await bank.entrance.until_waiting()

    async def first_is_paid() -> bool:
        return await status(database, first) == "paid"

    [later] = await reserved(database, "later@x.org")
    bell.stop()
    await bank.exit.open()
    await eventually(first_is_paid)
    await bank.entrance.open()
    await draining
    await bell.answer()

    assert await statuses(database) == {"paid": 2, "reserved": 1}
    assert (await work(database, later, Kind.CHARGE)).attempt == 0
