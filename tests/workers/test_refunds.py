"""Refunds: money of a cancelled order goes back, once."""

from uuid import UUID

from db.engine import Database
from domain.payment import Declined, Unsent
from domain.task import Kind
from ops.config import Settings
from tests.bank import Bank
from tests.records import (
    assert_sound,
    attempts,
    cash,
    shelf,
    work,
)
from tests.stages import drain_payments, settle_payments
from tests.workers.charges import TOTAL, cancel, order_id
from workers.payments import TRIES_MAX

__all__ = ["order_id"]


async def test_cancelling_a_paid_order_refunds_it(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)

    await settle_payments(database, settings, bank)

    assert await attempts(database, order_id) == [("charge", "succeeded"), ("refund", "succeeded")]
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL, -TOTAL]
    assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)


async def test_refund_that_never_left_is_tried_again_under_its_key(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)
    bank.answers.extend([Unsent("No connection.")] * TRIES_MAX)

    await settle_payments(database, settings, bank)

    refunds = [attempt_id for verb, attempt_id in bank.asked if verb == "refund"]
    assert len(refunds) == TRIES_MAX + 1
    assert len(set(refunds)) == 1
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL, -TOTAL]


async def test_refund_whose_answer_was_lost_is_looked_up_and_never_made_again(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)
    bank.answers_lost = 1

    await settle_payments(database, settings, bank)

    assert bank.verbs() == ["charge", "refund", "find"]
    assert await attempts(database, order_id) == [("charge", "succeeded"), ("refund", "succeeded")]
    assert bank.takings(order_id) == [TOTAL, -TOTAL]


async def test_refused_refund_waits_for_a_person_with_its_reason(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)
    bank.answers.append(Declined("charge_disputed"))

    await settle_payments(database, settings, bank)

    task = await work(database, order_id, Kind.REFUND)
    assert (task.state, task.last_error) == (
        "dead",
        "The gateway refused the refund: charge_disputed.",
    )
    assert await attempts(database, order_id) == [("charge", "succeeded"), ("refund", "declined")]
