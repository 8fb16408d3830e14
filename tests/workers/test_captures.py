"""Captures, voids and refunds that people ask for: each its own attempt, key and booking."""

from uuid import UUID

import pytest

from db.engine import Database
from domain.funds import MoneyUnavailable
from domain.order import IllegalMove
from domain.payment import Capture, Unsent
from domain.task import Kind
from ops.config import Settings
from tests.bank import Bank
from tests.records import (
    assert_sound,
    attempts,
    cash,
    make_due,
    sent_long_ago,
    status,
    timeline,
    work,
)
from tests.stages import drain_payments, settle_payments
from tests.workers.charges import TOTAL, cancel, capture, refund, reserved, void
from workers.payments import TRIES_MAX


@pytest.fixture
async def order_id(database: Database, settings: Settings, bank: Bank) -> UUID:
    """An order whose money is authorized and not captured."""
    order_id = await reserved(database, capture=Capture.MANUAL)
    await drain_payments(database, settings, bank)
    return order_id


async def test_authorization_pays_the_order_and_books_nothing(
    database: Database, bank: Bank, order_id: UUID
) -> None:
    assert await status(database, order_id) == "paid"
    assert await attempts(database, order_id) == [("authorize", "succeeded")]
    assert (bank.held(order_id), bank.takings(order_id)) == (TOTAL, [])
    assert await cash(database, order_id) == []
    await assert_sound(database)


async def test_captures_in_parts_take_no_more_than_was_authorized(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await capture(database, order_id, 300)
    await capture(database, order_id, 600)
    with pytest.raises(MoneyUnavailable):
        await capture(database, order_id, 101)
    await settle_payments(database, settings, bank)
    await capture(database, order_id)
    await settle_payments(database, settings, bank)

    assert await cash(database, order_id) == bank.takings(order_id) == [300, 600, 100]
    assert bank.held(order_id) == 0
    assert len({attempt_id for _, attempt_id in bank.asked}) == 4
    await assert_sound(database)


async def test_final_capture_releases_the_rest(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await capture(database, order_id, 300, final=True)
    await settle_payments(database, settings, bank)

    assert (bank.held(order_id), bank.takings(order_id)) == (0, [300])
    with pytest.raises(MoneyUnavailable):
        await capture(database, order_id)


async def test_void_releases_what_earlier_captures_leave(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await capture(database, order_id, 300)
    await void(database, order_id)
    bank.answers.extend([Unsent("No connection.")] * TRIES_MAX)
    await settle_payments(database, settings, bank)

    assert (bank.held(order_id), bank.takings(order_id)) == (0, [300])
    assert sorted(await attempts(database, order_id)) == [
        ("authorize", "succeeded"),
        ("capture", "succeeded"),
        ("void", "succeeded"),
    ]
    await assert_sound(database)


async def test_refunds_in_parts_give_back_no_more_than_was_captured(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await capture(database, order_id, 700)
    with pytest.raises(MoneyUnavailable):
        await refund(database, order_id, 1)
    await settle_payments(database, settings, bank)

    await refund(database, order_id, 200)
    await refund(database, order_id, 300)
    with pytest.raises(MoneyUnavailable):
        await refund(database, order_id, 201)
    await settle_payments(database, settings, bank)

    assert await cash(database, order_id) == bank.takings(order_id) == [700, -200, -300]
    assert await status(database, order_id) == "paid"
    await assert_sound(database)


async def test_cancelled_order_gives_back_what_is_held_and_what_was_taken(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await capture(database, order_id, 300)
    await settle_payments(database, settings, bank)
    await cancel(database, order_id)
    await settle_payments(database, settings, bank)

    assert (bank.held(order_id), bank.takings(order_id)) == (0, [300, -300])
    assert (await timeline(database, order_id))[-3:] == [
        "order_cancelled",
        "payment_voided",
        "payment_refunded",
    ]
    await assert_sound(database)


async def test_capture_that_was_not_sent_is_withdrawn_from_a_cancelled_order(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await capture(database, order_id, 300)
    await cancel(database, order_id)
    await settle_payments(database, settings, bank)

    assert (bank.held(order_id), bank.takings(order_id)) == (0, [])
    assert "capture" not in bank.verbs()
    await assert_sound(database)


async def test_refund_the_gateway_never_saw_is_made_afresh_for_a_cancelled_order(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await capture(database, order_id)
    await settle_payments(database, settings, bank)
    await cancel(database, order_id)
    bank.down_for = {"refund"}
    await settle_until_refund_is_unknown(database, settings, bank)
    bank.down_for = set()
    await sent_long_ago(database, order_id)
    await settle_payments(database, settings, bank)

    assert bank.takings(order_id) == await cash(database, order_id) == [TOTAL, -TOTAL]
    refunds = {attempt_id for verb, attempt_id in bank.asked if verb == "refund"}
    assert len(refunds) == 2
    await assert_sound(database)


async def settle_until_refund_is_unknown(
    database: Database, settings: Settings, bank: Bank
) -> None:
    for _ in range(2):
        await make_due(database)
        await drain_payments(database, settings, bank)


async def test_compensation_that_fails_is_retried_and_visible(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await cancel(database, order_id)
    bank.answers.extend([Unsent("No connection.")] * TRIES_MAX)
    for _ in range(2):
        await make_due(database)
        await drain_payments(database, settings, bank)
    failed = await work(database, order_id, Kind.VOID)
    await settle_payments(database, settings, bank)

    assert (failed.state, failed.last_error) == ("ready", "No connection.")
    assert bank.held(order_id) == 0
    await assert_sound(database)


async def test_money_of_an_order_that_was_never_paid_cannot_be_asked_for(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await reserved(database, payment_method="pm_card_visa")
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)

    with pytest.raises(IllegalMove):
        await refund(database, order_id)
