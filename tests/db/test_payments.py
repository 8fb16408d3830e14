"""An order has one live charge, and the ledger tells of all money that moved, twice."""

import asyncio
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import payments, tables
from db.engine import Database, transaction
from db.ids import new_id
from domain.attempt import Attempt, AttemptState, Payable, Step
from domain.money import Money
from domain.payment import Charge, Declined, Outcome, Refund, Succeeded, Unknown, Unsent
from domain.status import Status
from domain.task import Kind
from tests.builders import a_placement, a_task, place, put_products
from tests.db.backends import Admin, until_blocked

TOTAL = Money(1000, "GBP")


@pytest.fixture
async def order_id(database: Database) -> UUID:
    await put_products(database, APPLE=10)
    [placed] = await place(database, a_placement(("APPLE", 2)))
    return placed


def _charge(order_id: UUID, attempt_id: UUID | None = None) -> Step:
    call = Charge(attempt_id or new_id(), order_id, TOTAL, "pm_card_visa")
    return Step(a_task(Kind.CHARGE, order_id=order_id), call, None, ask_first=False)


def _refund(order_id: UUID) -> Step:
    call = Refund(new_id(), order_id, TOTAL, "pi_1")
    return Step(a_task(Kind.REFUND, order_id=order_id), call, None, ask_first=False)


async def _sent(tx: AsyncConnection, *steps: Step) -> None:
    await payments.insert_sent(tx, steps, gateway="stripe")


async def _settled(tx: AsyncConnection, step: Step, outcome: Outcome) -> None:
    await _sent(tx, step)
    await payments.record(tx, [(step, outcome)])


async def _attempts(tx: AsyncConnection) -> list[tuple[str, str, str | None, str | None]]:
    query = "SELECT kind, state, gateway_ref, error FROM payment_attempts ORDER BY id"
    return [tuple(row) for row in await tx.execute(text(query))]


async def _ledger(tx: AsyncConnection) -> list[tuple[str, int, str]]:
    query = "SELECT account, amount_minor, currency FROM ledger_entries ORDER BY 1, 2"
    return [tuple(row) for row in await tx.execute(text(query))]


async def test_attempt_is_written_as_sent_with_what_is_asked(
    tx: AsyncConnection, order_id: UUID
) -> None:
    step = _charge(order_id)

    await _sent(tx, step)

    [row] = (await tx.execute(select(tables.payment_attempts))).mappings()
    assert (row["id"], row["order_id"]) == (step.call.attempt_id, order_id)
    assert (row["kind"], row["state"], row["gateway"]) == ("charge", "sent", "stripe")
    assert (row["amount_minor"], row["currency"]) == (1000, "GBP")


@pytest.mark.parametrize(
    "outcome", [None, Unsent("refused"), Unknown("timeout"), Succeeded("pi_1")]
)
async def test_second_live_charge_of_an_order_cannot_be_written(
    tx: AsyncConnection, order_id: UUID, outcome: Outcome | None
) -> None:
    first = _charge(order_id)
    await _sent(tx, first)
    if outcome:
        await payments.record(tx, [(first, outcome)])

    with pytest.raises(psycopg.errors.UniqueViolation, match="payment_attempts_live"):
        await _sent(tx, _charge(order_id))


async def test_two_workers_cannot_both_send_a_first_charge(
    database: Database, order_id: UUID, admin: Admin
) -> None:
    async def send() -> None:
        async with transaction(database) as tx:
            await _sent(tx, _charge(order_id))

    async with transaction(database) as first:
        await _sent(first, _charge(order_id))
        second = asyncio.create_task(send())
        await until_blocked(admin)

    with pytest.raises(psycopg.errors.UniqueViolation, match="payment_attempts_live"):
        await second


async def test_declined_charge_makes_room_for_another(tx: AsyncConnection, order_id: UUID) -> None:
    await _settled(tx, _charge(order_id), Declined("expired_card"))
    await _sent(tx, _charge(order_id))

    assert await _attempts(tx) == [
        ("charge", "declined", None, "expired_card"),
        ("charge", "sent", None, None),
    ]


async def test_attempt_that_is_sent_again_keeps_its_id(tx: AsyncConnection, order_id: UUID) -> None:
    step = _charge(order_id)
    await _settled(tx, step, Unsent("refused"))
    assert await _attempts(tx) == [("charge", "created", None, "refused")]

    await _sent(tx, step)

    assert await _attempts(tx) == [("charge", "sent", None, "refused")]


async def test_charge_and_refund_are_live_side_by_side(tx: AsyncConnection, order_id: UUID) -> None:
    await _settled(tx, _charge(order_id), Succeeded("pi_1"))
    await _settled(tx, _refund(order_id), Succeeded("re_1"))

    assert await _attempts(tx) == [
        ("charge", "succeeded", "pi_1", None),
        ("refund", "succeeded", "re_1", None),
    ]


async def test_money_that_moved_is_booked_twice_and_sums_to_nothing(
    tx: AsyncConnection, order_id: UUID
) -> None:
    await _settled(tx, _charge(order_id), Succeeded("pi_1"))
    charged = await _ledger(tx)

    await _settled(tx, _refund(order_id), Succeeded("re_1"))

    assert charged == [("gateway_cash", 1000, "GBP"), ("receivable", -1000, "GBP")]
    assert await _ledger(tx) == [
        ("gateway_cash", -1000, "GBP"),
        ("gateway_cash", 1000, "GBP"),
        ("receivable", -1000, "GBP"),
        ("receivable", 1000, "GBP"),
    ]


@pytest.mark.parametrize(
    "outcome", [Declined("expired_card"), Unknown("timeout"), Unsent("refused")]
)
async def test_money_that_did_not_move_is_not_booked(
    tx: AsyncConnection, order_id: UUID, outcome: Outcome
) -> None:
    await _settled(tx, _charge(order_id), outcome)

    assert await _ledger(tx) == []


async def test_same_success_cannot_be_booked_twice(tx: AsyncConnection, order_id: UUID) -> None:
    step = _charge(order_id)
    await _settled(tx, step, Succeeded("pi_1"))

    with pytest.raises(psycopg.errors.UniqueViolation, match="ledger_entries_pkey"):
        await payments.record(tx, [(step, Succeeded("pi_1"))])


async def test_outcomes_of_a_group_are_written_each_to_its_attempt(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10)
    ids = await place(database, *(a_placement(("APPLE", 1)) for _ in range(4)))
    steps = [_charge(order_id, UUID(int=n)) for n, order_id in enumerate(ids)]
    outcomes = [Succeeded("pi_1"), Declined("no"), Unknown("timeout"), Unsent("refused")]
    await _sent(tx, *steps)

    await payments.record(tx, list(zip(steps, outcomes, strict=True)))

    assert await _attempts(tx) == [
        ("charge", "succeeded", "pi_1", None),
        ("charge", "declined", None, "no"),
        ("charge", "unknown", None, "timeout"),
        ("charge", "created", None, "refused"),
    ]
    assert len(await _ledger(tx)) == 2


async def test_payables_tell_of_the_live_attempts(tx: AsyncConnection, database: Database) -> None:
    await put_products(database, APPLE=10)
    fresh, declined, paid = await place(database, *(a_placement(("APPLE", 2)) for _ in range(3)))
    await _settled(tx, _charge(declined), Declined("no"))
    charge, refund = _charge(paid), _refund(paid)
    await _settled(tx, _charge(paid), Declined("no"))
    await _settled(tx, charge, Succeeded("pi_1"))
    await _sent(tx, refund)

    payables = await payments.lock_payables(tx, [paid, fresh, declined, new_id()])

    assert payables == {
        fresh: Payable(fresh, Status.PLACED, TOTAL, "pm_card_visa"),
        declined: Payable(declined, Status.PLACED, TOTAL, "pm_card_visa"),
        paid: Payable(
            paid,
            Status.PLACED,
            TOTAL,
            "pm_card_visa",
            charge=Attempt(charge.call.attempt_id, AttemptState.SUCCEEDED, "pi_1"),
            refund=Attempt(refund.call.attempt_id, AttemptState.SENT, None),
        ),
    }


async def test_payable_that_is_waited_for_tells_of_the_attempt_made_meanwhile(
    database: Database, order_id: UUID, admin: Admin
) -> None:
    async def lock() -> Payable:
        async with transaction(database) as tx:
            return (await payments.lock_payables(tx, [order_id]))[order_id]

    step = _charge(order_id)
    async with transaction(database) as first:
        await payments.lock_payables(first, [order_id])
        waiting = asyncio.create_task(lock())
        await until_blocked(admin)
        await _sent(first, step)

    assert (await waiting).charge == Attempt(step.call.attempt_id, AttemptState.SENT, None)


async def test_nothing_to_send_writes_nothing(tx: AsyncConnection) -> None:
    await _sent(tx)

    assert await _attempts(tx) == []
