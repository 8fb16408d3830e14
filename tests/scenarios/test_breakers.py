"""A gateway that is away: its orders wait, lose nothing, and new ones go to the next gateway."""

from uuid import UUID

import msgspec
from sqlalchemy import text

from db.engine import Database, transaction
from domain.payment import Unknown
from domain.task import Kind, Queue
from ops.config import Settings
from tests.bank import Bank
from tests.builders import a_placement, place
from tests.records import (
    assert_sound,
    attempts,
    attempts_left,
    cash,
    make_due,
    pause,
    status,
    statuses,
    timeline,
    work,
)
from tests.stages import a_cashier, drain_cashier, drain_inventory, drain_payments
from tests.workers.charges import TOTAL, cancel, order_id
from workers.payments import TRIES_MAX, Cashier

__all__ = ["order_id"]

# Long enough that no test sees its end, and none at all.
FOR_LONG_S, FOR_NO_TIME_S = 3600.0, 0.001


def quick(settings: Settings, *, open_s: float) -> Settings:
    """Have a breaker open at the first failure."""
    return msgspec.structs.replace(settings, breaker_failures_max=1, breaker_open_s=open_s)


async def another(database: Database) -> UUID:
    [order_id] = await place(database, a_placement(("APPLE", 1)))
    await drain_inventory(database)
    return order_id


async def pay(database: Database, cashier: Cashier) -> None:
    """Let the time pass that work waits, and do it."""
    await make_due(database)
    await drain_cashier(cashier)


async def test_calls_that_provably_did_nothing_are_tried_three_times_at_once(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.down = True
    await drain_payments(database, settings, bank)

    assert bank.verbs() == ["charge"] * TRIES_MAX
    assert len({attempt_id for _, attempt_id in bank.asked}) == 1
    assert await attempts(database, order_id) == [("charge", "created")]


async def test_orders_wait_without_losing_attempts_while_the_breaker_is_open(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    cashier = a_cashier(database, quick(settings, open_s=FOR_LONG_S), bank)
    bank.down = True
    await pay(database, cashier)
    new = await another(database)
    left = await attempts_left(database, order_id, Kind.CHARGE)
    new_left = await attempts_left(database, new, Kind.CHARGE)
    asked = len(bank.asked)

    for _ in range(3):
        await pay(database, cashier)

    assert len(bank.asked) == asked
    assert await attempts_left(database, order_id, Kind.CHARGE) == left
    assert await attempts_left(database, new, Kind.CHARGE) == new_left
    waits = [(await work(database, each, Kind.CHARGE)) for each in (order_id, new)]
    assert [task.state for task in waits] == ["ready", "ready"]
    assert all("breaker is open" in (task.last_error or "") for task in waits)
    assert await statuses(database) == {"reserved": 2}


async def test_orders_that_waited_are_paid_once_the_gateway_is_back(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    cashier = a_cashier(database, quick(settings, open_s=FOR_NO_TIME_S), bank)
    bank.down = True
    await pay(database, cashier)
    new = await another(database)
    await pay(database, cashier)
    bank.down = False

    # The first call of a breaker that was open is a probe: it goes alone.
    for _ in range(3):
        await pay(database, cashier)

    assert await statuses(database) == {"paid": 2}
    assert [bank.takings(each) for each in (order_id, new)] == [[TOTAL], [TOTAL // 2]]
    await assert_sound(database)


async def test_new_orders_go_to_the_second_gateway_while_the_first_is_away(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    second = Bank("second")
    cashier = a_cashier(database, quick(settings, open_s=FOR_LONG_S), bank, second)
    bank.answers.append(Unknown("Reset by peer."))
    await pay(database, cashier)
    new = await another(database)

    for _ in range(2):
        await pay(database, cashier)

    assert (await status(database, new), second.takings(new)) == ("paid", [TOTAL // 2])
    assert await attempts(database, order_id) == [("charge", "unknown")]
    assert second.takings(order_id) == []
    assert bank.verbs() == ["charge"]


async def test_what_was_sent_to_a_gateway_is_settled_and_refunded_there(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    second = Bank("second")
    await drain_payments(database, settings, second)
    await cancel(database, order_id)
    cashier = a_cashier(database, settings, bank, second)

    for _ in range(3):
        await pay(database, cashier)

    assert (bank.asked, second.verbs()) == ([], ["charge", "refund"])
    assert second.takings(order_id) == [TOTAL, -TOTAL]
    await assert_sound(database)


async def test_sent_charge_of_a_gateway_that_is_gone_from_the_settings_waits_and_says_so(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    gone = Bank("gone")
    gone.answers_lost = 1
    await drain_payments(database, settings, gone)
    left = await attempts_left(database, order_id, Kind.CHARGE)

    await make_due(database)
    await drain_payments(database, settings, bank)

    waiting = await work(database, order_id, Kind.CHARGE)
    assert (waiting.state, await attempts_left(database, order_id, Kind.CHARGE)) == ("ready", left)
    assert waiting.last_error is not None
    assert waiting.last_error.startswith("Gateway gone is not in PAYMENT_GATEWAYS")
    assert bank.asked == []
    assert await attempts(database, order_id) == [("charge", "unknown")]

    await make_due(database)
    await drain_payments(database, settings, bank, gone)
    assert await cash(database, order_id) == gone.takings(order_id) == [TOTAL]
    await assert_sound(database)


async def test_charge_that_never_reached_its_gateway_is_made_at_another(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    gone = Bank("gone")
    gone.down = True
    await drain_payments(database, settings, gone)
    assert await attempts(database, order_id) == [("charge", "created")]

    await make_due(database)
    await drain_payments(database, settings, bank)

    assert await attempts(database, order_id) == [("charge", "succeeded")]
    assert (gone.takings(order_id), bank.takings(order_id)) == ([], [TOTAL])
    await assert_sound(database)


async def test_compensation_waits_for_its_gateway_and_is_never_skipped(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    cashier = a_cashier(database, quick(settings, open_s=FOR_NO_TIME_S), bank)
    await pay(database, cashier)
    await cancel(database, order_id)
    bank.down = True
    for _ in range(4):
        await pay(database, cashier)
    waiting = await work(database, order_id, Kind.REFUND)
    bank.down = False
    for _ in range(3):
        await pay(database, cashier)

    assert waiting.state == "ready"
    assert waiting.last_error
    assert await cash(database, order_id) == bank.takings(order_id) == [TOTAL, -TOTAL]
    assert (await timeline(database, order_id))[-1] == "payment_refunded"
    await assert_sound(database)


async def test_compensation_that_is_out_of_attempts_is_dead_with_its_reason(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await cancel(database, order_id)
    await drain_payments(database, settings, bank)
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE tasks SET attempts_max = 2 WHERE kind = 'refund'"))
    bank.down = True
    for _ in range(3):
        await make_due(database)
        await drain_payments(database, settings, bank)

    dead = await work(database, order_id, Kind.REFUND)
    assert (dead.state, dead.last_error) == ("dead", "No connection.")


async def test_paused_payments_move_no_money_until_they_go_on(
    database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await pause(database, Queue.PAYMENTS)
    await drain_payments(database, settings, bank)
    meanwhile = bank.verbs()
    await pause(database, Queue.PAYMENTS, paused=False)
    await drain_payments(database, settings, bank)

    assert meanwhile == []
    assert bank.takings(order_id) == [TOTAL]
