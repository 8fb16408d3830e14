"""An outcome that nobody knows: asked after until it is known, and decided by a person at last."""

from functools import partial
from uuid import UUID

import pytest

from db import orders, payables, payments, tasks
from db.engine import Database, transaction
from domain.event import PaymentResolved
from domain.funds import AttemptState
from domain.payment import Capture, Declined, Unknown
from domain.settlement import resolve
from domain.task import Kind, Queue
from ops.config import Settings
from tests.bank import Bank
from tests.records import (
    assert_sound,
    attempts,
    attempts_left,
    cash,
    make_due,
    sent_long_ago,
    shelf,
    status,
    timeline,
    work,
)
from tests.stages import drain_payments, settle_payments
from tests.workers.charges import TOTAL, cancel, capture, order_id, refund, reserved, void

__all__ = ["order_id"]

ASK = {
    "capture": partial(capture, amount_minor=600),
    "void": void,
    "refund": partial(refund, amount_minor=600),
}


async def look(database: Database, settings: Settings, bank: Bank) -> None:
    """Let the time pass to the next lookup, and have it made."""
    await make_due(database)
    await drain_payments(database, settings, bank)


async def in_review(database: Database, settings: Settings, bank: Bank, *, charged: bool) -> UUID:
    """An order whose payment could not be looked up for longer than the gateway's window."""
    order_id = await reserved(database)
    if charged:
        bank.answers_lost = 1
    else:
        bank.answers.append(Unknown("Reset by peer."))
    await drain_payments(database, settings, bank)
    await sent_long_ago(database, order_id)
    bank.found.append(Unknown("The answer was cut short."))
    await look(database, settings, bank)
    return order_id


async def deny(database: Database, order_id: UUID) -> None:
    """Settle what is unknown by the word of a person: it did not happen."""
    state, outcome = AttemptState.DECLINED, Declined("did_not_happen")
    async with transaction(database) as tx:
        payable = await payables.lock(tx, order_id)
        unknown = payable.unsettled()
        assert unknown is not None
        word = PaymentResolved(unknown.id, state.value, "Asked on the phone.", "staff", "Silence.")
        await payments.settle(tx, [(unknown, state, outcome)])
        await orders.change(tx, order_id, lambda was: resolve(was, unknown, outcome, word))


async def test_unknown_charge_is_looked_up_at_once_when_the_gateway_tells_of_it(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers_lost = 1
    await drain_payments(database, settings, bank)
    waits_s = (await work(database, order_id, Kind.CHARGE)).due_in_s

    async with transaction(database) as tx:
        await tasks.hurry(tx, [order_id], Queue.PAYMENTS)
    await drain_payments(database, settings, bank)

    assert waits_s == pytest.approx(5, abs=1)
    assert bank.verbs() == ["charge", "find"]
    assert await status(database, order_id) == "paid"


async def test_lookups_spend_no_attempt(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    left = await attempts_left(database, order_id, Kind.CHARGE)
    bank.answers_lost = 1
    bank.found.extend([Unknown("Silence.")] * 3)

    for _ in range(4):
        await look(database, settings, bank)

    assert await attempts_left(database, order_id, Kind.CHARGE) == left
    assert bank.verbs() == ["charge", "find", "find", "find"]


async def test_charge_that_is_not_shown_yet_is_not_taken_for_missing(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers_lost = 1
    bank.blind = 2
    await drain_payments(database, settings, bank)
    await sent_long_ago(database, order_id, by_s=settings.gateway_window_s / 2)
    await look(database, settings, bank)
    meanwhile = await attempts(database, order_id)
    await sent_long_ago(database, order_id, by_s=settings.gateway_window_s / 4)
    await look(database, settings, bank)
    await look(database, settings, bank)

    assert meanwhile == [("charge", "unknown")]
    assert bank.verbs() == ["charge", "find", "find", "find"]
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL]
    await assert_sound(database)


async def test_charge_that_is_missing_after_the_window_is_made_afresh(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers.append(Unknown("Reset by peer."))
    await drain_payments(database, settings, bank)
    await sent_long_ago(database, order_id)

    await settle_payments(database, settings, bank)

    assert bank.verbs() == ["charge", "find", "charge"]
    assert await attempts(database, order_id) == [("charge", "declined"), ("charge", "succeeded")]
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL]
    await assert_sound(database)


async def test_charge_of_a_cancelled_order_is_not_made_afresh(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers.append(Unknown("Reset by peer."))
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)
    await look(database, settings, bank)
    meanwhile = await attempts(database, order_id)
    await sent_long_ago(database, order_id)

    await settle_payments(database, settings, bank)

    assert meanwhile == [("charge", "unknown")]
    assert set(bank.verbs()[1:]) == {"find"}
    assert await attempts(database, order_id) == [("charge", "declined")]
    assert bank.takings(order_id) == []
    await assert_sound(database)


async def test_late_success_of_a_cancelled_order_goes_back_by_itself(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers_lost = 1
    bank.blind = 1
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)

    await settle_payments(database, settings, bank)

    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL, -TOTAL]
    assert (await timeline(database, order_id))[-4:] == [
        "payment_unknown",
        "order_cancelled",
        "late_payment",
        "payment_refunded",
    ]
    await assert_sound(database)


async def test_payment_that_cannot_be_looked_up_within_the_window_goes_to_a_person(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await in_review(database, settings, bank, charged=True)

    assert await status(database, order_id) == "review"
    assert await shelf(database, "APPLE") == (10, 2)
    assert (await timeline(database, order_id))[-1] == "payment_in_review"
    await assert_sound(database)


async def test_lookup_that_succeeds_at_last_ends_the_review(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await in_review(database, settings, bank, charged=True)

    await look(database, settings, bank)

    assert await status(database, order_id) == "paid"
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL]
    await assert_sound(database)


async def test_person_who_knows_of_no_money_ends_the_order(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await in_review(database, settings, bank, charged=False)

    await deny(database, order_id)
    await settle_payments(database, settings, bank)

    assert await status(database, order_id) == "cancelled"
    assert (await timeline(database, order_id))[-2:] == ["payment_resolved", "order_cancelled"]
    assert bank.takings(order_id) == []
    assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)


@pytest.mark.parametrize("kind", ["capture", "void", "refund"])
async def test_what_is_owed_waits_for_an_operation_whose_outcome_is_unknown(
    database: Database, settings: Settings, bank: Bank, kind: str
) -> None:
    order_id = await reserved(database, capture=Capture.MANUAL)
    await settle_payments(database, settings, bank)
    if kind == "refund":
        await capture(database, order_id)
        await settle_payments(database, settings, bank)
    await ASK[kind](database, order_id)
    bank.answers_lost = 1
    bank.found.append(Unknown("Silence."))
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)
    await look(database, settings, bank)
    meanwhile = bank.verbs()[-2:]
    await settle_payments(database, settings, bank)

    assert meanwhile == [kind, "find"]
    assert await cash(database, order_id) == bank.takings(order_id)
    assert (sum(bank.takings(order_id)), bank.held(order_id)) == (0, 0)
    await assert_sound(database)
