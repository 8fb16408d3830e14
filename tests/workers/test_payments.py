"""Charges and refunds: what each outcome makes of attempt, task, order and ledger."""

import asyncio
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from db import orders
from db.engine import Database, transaction
from domain import order
from domain.event import CancelReason
from domain.payment import Charge, Declined, Outcome, Unknown, Unsent
from domain.task import LOOKUP_AFTER_S, Kind, Queue
from ops.config import Settings
from tests.bank import DECLINED, Bank
from tests.builders import a_placement, place, put_products
from tests.records import (
    assert_sound,
    attempts,
    cash,
    end_leases,
    make_due,
    pause,
    shelf,
    status,
    timeline,
    work,
)
from tests.stages import drain_inventory, drain_payments
from workers import clock

TOTAL = 1000


@pytest.fixture
async def order_id(database: Database) -> UUID:
    """An order whose stock is held, to be charged."""
    return await reserved(database)


async def reserved(database: Database, payment_method: str = "pm_card_visa") -> UUID:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 2), payment_method=payment_method))
    await drain_inventory(database)
    return order_id


async def cancel(database: Database, order_id: UUID) -> None:
    async with transaction(database) as tx:
        await orders.change(
            tx, order_id, lambda was: order.cancel(was, reason=CancelReason.CUSTOMER)
        )


async def charge_of(database: Database, order_id: UUID) -> tuple[str, int, str | None]:
    task = await work(database, order_id, Kind.CHARGE)
    return task.state, task.attempt, task.last_error


async def test_charge_pays_the_order_and_books_it(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)

    assert await status(database, order_id) == "paid"
    assert await attempts(database, order_id) == [("charge", "succeeded")]
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL]
    assert await shelf(database, "APPLE") == (8, 0)
    await assert_sound(database)


async def test_declined_card_ends_the_order_and_gives_the_stock_back(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await reserved(database, payment_method=DECLINED)

    await drain_payments(database, settings, bank)

    assert await status(database, order_id) == "cancelled"
    assert await attempts(database, order_id) == [("charge", "declined")]
    assert await charge_of(database, order_id) == ("done", 1, None)
    assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)


async def test_charge_that_never_left_is_tried_again_later_under_its_key(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers.append(Unsent("No connection."))

    await drain_payments(database, settings, bank)
    assert await charge_of(database, order_id) == ("ready", 1, "No connection.")
    assert await attempts(database, order_id) == [("charge", "created")]

    await make_due(database)
    await drain_payments(database, settings, bank)
    assert await status(database, order_id) == "paid"
    assert bank.verbs() == ["charge", "charge"]
    assert len({attempt_id for _, attempt_id in bank.asked}) == 1


async def test_answer_that_was_lost_is_looked_up_and_never_charged_again(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers_lost = 1

    await drain_payments(database, settings, bank)
    assert await attempts(database, order_id) == [("charge", "unknown")]
    assert await status(database, order_id) == "reserved"

    await make_due(database)
    await drain_payments(database, settings, bank)
    assert await status(database, order_id) == "paid"
    assert bank.verbs() == ["charge", "find"]
    assert bank.takings(order_id) == [TOTAL]


async def test_charge_the_gateway_does_not_know_is_sent_again_under_its_key(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers.append(Unknown("Reset by peer."))

    await drain_payments(database, settings, bank)
    await make_due(database)
    await drain_payments(database, settings, bank)

    assert await status(database, order_id) == "paid"
    assert bank.verbs() == ["charge", "find", "charge"]
    assert len({attempt_id for _, attempt_id in bank.asked}) == 1
    assert bank.takings(order_id) == [TOTAL]


async def test_unknown_outcome_is_asked_after_at_ever_longer_distances(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    rounds = len(LOOKUP_AFTER_S) + 1
    bank.answers.extend([Unknown("Silence.")] * rounds)
    waits: list[float] = []

    for _ in range(rounds):
        await make_due(database)
        await drain_payments(database, settings, bank)
        waits.append((await work(database, order_id, Kind.CHARGE)).due_in_s)

    assert waits == pytest.approx([*LOOKUP_AFTER_S, LOOKUP_AFTER_S[-1]], abs=2)
    assert await timeline(database, order_id) == [
        "order_placed",
        "stock_reserved",
        "payment_unknown",
    ]


async def test_charge_out_of_attempts_is_dead_with_its_reason(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE tasks SET attempts_max = 2 WHERE kind = 'charge'"))
    bank.answers.extend([Unsent("No connection.")] * 2)

    for _ in range(3):
        await make_due(database)
        await drain_payments(database, settings, bank)

    assert await charge_of(database, order_id) == ("dead", 2, "No connection.")
    assert bank.verbs() == ["charge"] * 2


async def test_gateway_that_does_not_answer_in_time_leaves_the_outcome_unknown(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    hasty = msgspec.structs.replace(settings, gateway_timeout_s=0.01, task_timeout_s=0.02)
    bank.exit.shut()

    await drain_payments(database, hasty, bank)

    assert await attempts(database, order_id) == [("charge", "unknown")]
    state, _, error = await charge_of(database, order_id)
    assert (state, error) == ("ready", "The gateway did not answer in time.")


async def test_adapter_that_raises_leaves_the_outcome_unknown(
    database: Database, settings: Settings, order_id: UUID
) -> None:
    class Broken(Bank):
        async def charge(self, charge: Charge) -> Outcome:
            raise ZeroDivisionError(charge)

    await drain_payments(database, settings, Broken())

    assert await attempts(database, order_id) == [("charge", "unknown")]
    state, _, error = await charge_of(database, order_id)
    assert (state, error) == ("ready", "The gateway adapter failed: ZeroDivisionError.")


async def lose_lease(database: Database) -> None:
    """Have the sweep take back what a worker holds for too long."""
    await end_leases(database)
    await clock.take_back(database)


async def test_result_that_comes_after_the_work_was_taken_back_changes_nothing(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.exit.shut()
    late = asyncio.create_task(drain_payments(database, settings, bank))
    await bank.exit.until_waiting()
    await lose_lease(database)

    await pause(database, Queue.PAYMENTS)
    await bank.exit.open()
    await late

    assert await charge_of(database, order_id) == ("ready", 1, clock.LEASE_EXPIRED)
    assert await status(database, order_id) == "reserved"
    assert await attempts(database, order_id) == [("charge", "sent")]


async def test_result_that_comes_while_another_worker_is_at_it_changes_nothing(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    forgetful = Bank()
    forgetful.exit.shut()
    late = asyncio.create_task(drain_payments(database, settings, forgetful))
    await forgetful.exit.until_waiting()
    await lose_lease(database)
    bank.entrance.shut()
    other = asyncio.create_task(drain_payments(database, settings, bank))
    await bank.entrance.until_waiting()

    await forgetful.exit.open()
    await late
    meanwhile = await charge_of(database, order_id), await status(database, order_id)
    await bank.entrance.open()
    await other

    assert meanwhile == (("running", 2, clock.LEASE_EXPIRED), "reserved")
    assert await status(database, order_id) == "paid"
    assert len({attempt_id for _, attempt_id in forgetful.asked + bank.asked}) == 1
    await assert_sound(database)


async def test_result_that_comes_after_another_worker_ended_it_changes_nothing(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.exit.shut()
    late = asyncio.create_task(drain_payments(database, settings, bank))
    await bank.exit.until_waiting()
    await lose_lease(database)
    await drain_payments(database, settings, bank)
    told = await timeline(database, order_id)

    bank.answers_lost = 1
    await bank.exit.open()
    await late

    assert bank.verbs() == ["charge", "find"]
    assert await charge_of(database, order_id) == ("done", 2, None)
    assert await timeline(database, order_id) == told
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL]
    await assert_sound(database)


async def test_two_tasks_for_one_charge_charge_once(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    async with transaction(database) as tx:
        again = text(
            "INSERT INTO tasks (queue, kind, order_id, attempts_max)"
            " VALUES ('payments', 'charge', :id, 5)"
        )
        await tx.execute(again, {"id": order_id})

    for _ in range(3):
        await make_due(database)
        await drain_payments(database, settings, bank)

    assert await status(database, order_id) == "paid"
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL]
    await assert_sound(database)


async def test_cancelling_a_paid_order_refunds_it(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)

    await drain_payments(database, settings, bank)

    assert await attempts(database, order_id) == [("charge", "succeeded"), ("refund", "succeeded")]
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL, -TOTAL]
    assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)


async def test_order_cancelled_before_its_charge_left_is_never_charged(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers.append(Unsent("No connection."))
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)

    await make_due(database)
    await drain_payments(database, settings, bank)

    assert bank.takings(order_id) == []
    assert (await charge_of(database, order_id))[0] == "done"


async def test_refund_that_never_left_is_tried_again_under_its_key(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)
    bank.answers.append(Unsent("No connection."))

    await drain_payments(database, settings, bank)
    await make_due(database)
    await drain_payments(database, settings, bank)

    refunds = [attempt_id for verb, attempt_id in bank.asked if verb == "refund"]
    assert len(refunds) == 2
    assert len(set(refunds)) == 1
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL, -TOTAL]


async def test_refused_refund_waits_for_a_person_with_its_reason(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)
    bank.answers.append(Declined("charge_disputed"))

    await drain_payments(database, settings, bank)

    task = await work(database, order_id, Kind.REFUND)
    assert (task.state, task.last_error) == (
        "dead",
        "The gateway refused the refund: charge_disputed.",
    )
    assert await attempts(database, order_id) == [("charge", "succeeded"), ("refund", "declined")]
