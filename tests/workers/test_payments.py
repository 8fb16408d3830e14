"""Charges: what each outcome makes of attempt, task, order and ledger."""

from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from db.engine import Database, transaction
from domain.payment import Call, Outcome, Unknown, Unsent
from domain.task import LOOKUP_AFTER_S, Kind
from ops.config import Settings
from tests.bank import DECLINED, Bank
from tests.records import (
    assert_sound,
    attempts,
    cash,
    make_due,
    sent_long_ago,
    shelf,
    status,
    timeline,
    work,
)
from tests.stages import drain_payments
from tests.workers.charges import TOTAL, cancel, charge_of, order_id, reserved
from workers.payments import TRIES_MAX

__all__ = ["order_id"]


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
    bank.answers.extend([Unsent("No connection.")] * TRIES_MAX)

    await drain_payments(database, settings, bank)
    assert await charge_of(database, order_id) == ("ready", 1, "No connection.")
    assert await attempts(database, order_id) == [("charge", "created")]

    await make_due(database)
    await drain_payments(database, settings, bank)
    assert await status(database, order_id) == "paid"
    assert bank.verbs() == ["charge"] * (TRIES_MAX + 1)
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
    bank.answers.append(Unknown("Silence."))
    bank.found.extend([Unknown("Silence.")] * rounds)
    waits: list[float] = []

    for _ in range(rounds):
        await make_due(database)
        await drain_payments(database, settings, bank)
        waits.append((await work(database, order_id, Kind.CHARGE)).due_in_s)
        await sent_long_ago(database, order_id, by_s=waits[-1])

    *first, last = LOOKUP_AFTER_S
    until_its_window_ends = settings.gateway_window_s - sum(first)
    assert waits == pytest.approx([*first, until_its_window_ends, last], abs=3)
    assert await timeline(database, order_id) == [
        "order_placed",
        "stock_reserved",
        "payment_unknown",
        "payment_in_review",
    ]


async def test_charge_out_of_attempts_is_dead_with_its_reason(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE tasks SET attempts_max = 2 WHERE kind = 'charge'"))
    bank.answers.extend([Unsent("No connection.")] * 2 * TRIES_MAX)

    for _ in range(3):
        await make_due(database)
        await drain_payments(database, settings, bank)

    assert await charge_of(database, order_id) == ("dead", 2, "No connection.")
    assert bank.verbs() == ["charge"] * 2 * TRIES_MAX


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
        async def execute(self, call: Call) -> Outcome:
            raise ZeroDivisionError(call)

    await drain_payments(database, settings, Broken())

    assert await attempts(database, order_id) == [("charge", "unknown")]
    state, _, error = await charge_of(database, order_id)
    assert (state, error) == ("ready", "The gateway adapter failed: ZeroDivisionError.")


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


async def test_order_cancelled_before_its_charge_left_is_never_charged(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers.extend([Unsent("No connection.")] * TRIES_MAX)
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)

    await make_due(database)
    await drain_payments(database, settings, bank)

    assert bank.takings(order_id) == []
    assert (await charge_of(database, order_id))[0] == "done"
