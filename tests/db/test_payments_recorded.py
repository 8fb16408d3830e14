"""Outcomes are written each to its attempt, and the ledger tells twice of money that moved."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db import payments
from db.engine import Database
from domain.funds import AttemptKind, AttemptState
from domain.payment import (
    ActionRequired,
    Declined,
    Held,
    Outcome,
    Succeeded,
    Unknown,
    Unsent,
)
from tests.builders import a_placement, place, put_products
from tests.db.attempts import a_step, an_asked, booked, record, rows, send, settled, to_pay

EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
async def order_id(database: Database) -> UUID:
    await put_products(database, APPLE=10)
    [placed] = await place(database, a_placement(("APPLE", 2)))
    return placed


@pytest.mark.parametrize("outcome", [Unsent("refused"), Held(3.0)])
async def test_call_that_never_left_was_not_sent_and_its_window_begins_with_the_next(
    tx: AsyncConnection, order_id: UUID, outcome: Outcome
) -> None:
    attempt = await settled(tx, order_id, an_asked(), None)
    [first] = await rows(tx)
    await record(tx, order_id, attempt, outcome)
    [unsent] = await rows(tx)

    await send(tx, order_id, attempt)

    [second] = await rows(tx)
    assert (unsent.state, unsent.sent_at) == ("created", None)
    assert (second.id, second.state) == (attempt.id, "sent")
    assert second.sent_at > first.sent_at


async def test_attempt_that_is_asked_after_keeps_its_state_and_the_time_it_was_sent(
    tx: AsyncConnection, order_id: UUID
) -> None:
    attempt = await settled(tx, order_id, an_asked(), Unknown("timeout"))
    [before] = await rows(tx)
    unknown = msgspec.structs.replace(attempt, state=AttemptState.UNKNOWN)

    await send(tx, order_id, unknown)
    await record(tx, order_id, unknown, Unsent("refused"))

    [after] = await rows(tx)
    assert (after.state, after.sent_at, after.error) == ("unknown", before.sent_at, "refused")


async def test_client_secret_is_kept_until_the_customer_is_waited_for_no_more(
    tx: AsyncConnection, order_id: UUID
) -> None:
    attempt = await settled(tx, order_id, an_asked(), ActionRequired("pi_1", "secret"))
    waiting = msgspec.structs.replace(attempt, state=AttemptState.ACTION_REQUIRED)

    await record(tx, order_id, waiting, Held(3.0))
    [meanwhile] = await rows(tx)
    await record(tx, order_id, waiting, Succeeded("pi_1"))

    [paid] = await rows(tx)
    assert (meanwhile.state, meanwhile.client_secret) == ("action_required", "secret")
    assert (paid.state, paid.client_secret, paid.gateway_ref) == ("succeeded", None, "pi_1")


async def test_money_that_moved_is_booked_in_a_transaction_of_its_own(
    tx: AsyncConnection, order_id: UUID
) -> None:
    def done(fee_minor: int = 0) -> Succeeded:
        return Succeeded("ref", fee_minor)

    charge = await settled(tx, order_id, an_asked(), done(29))
    capture = await settled(tx, order_id, an_asked(AttemptKind.CAPTURE, 300), done(9))
    refund = await settled(tx, order_id, an_asked(AttemptKind.REFUND, 400), done())
    void = await settled(tx, order_id, an_asked(AttemptKind.VOID, 700), done())

    assert await booked(tx, charge) == {"gateway_cash": 971, "fees": 29, "receivable": -1000}
    assert await booked(tx, capture) == {"gateway_cash": 291, "fees": 9, "receivable": -300}
    assert await booked(tx, refund) == {"gateway_cash": -400, "refunds": 400}
    assert await booked(tx, void) == {}
    assert [row.fee_minor for row in await rows(tx) if row.id == charge.id] == [29]


async def test_money_that_is_held_for_us_is_not_booked_but_has_its_end(
    tx: AsyncConnection, order_id: UUID
) -> None:
    held = Succeeded("pi_1", expires_at=EXPIRES)

    attempt = await settled(tx, order_id, an_asked(AttemptKind.AUTHORIZE), held)

    [row] = await rows(tx)
    assert (row.state, row.expires_at) == ("succeeded", EXPIRES)
    assert await booked(tx, attempt) == {}


@pytest.mark.parametrize(
    "outcome",
    [
        Declined("expired_card"),
        Unknown("timeout"),
        Unsent("refused"),
        Held(3.0),
        ActionRequired("pi_1", "secret"),
    ],
)
async def test_money_that_did_not_move_is_not_booked(
    tx: AsyncConnection, order_id: UUID, outcome: Outcome
) -> None:
    attempt = await settled(tx, order_id, an_asked(), outcome)

    assert await booked(tx, attempt) == {}


async def test_same_success_cannot_be_booked_twice(tx: AsyncConnection, order_id: UUID) -> None:
    attempt = await settled(tx, order_id, an_asked(), Succeeded("pi_1"))

    with pytest.raises(psycopg.errors.UniqueViolation, match="ledger_entries_pkey"):
        await record(tx, order_id, attempt, Succeeded("pi_1"))


async def test_outcomes_of_a_group_are_written_each_to_its_attempt(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10)
    outcomes = [
        Succeeded("pi_1"),
        Declined("expired_card"),
        Unknown("timeout"),
        Unsent("refused"),
        ActionRequired("pi_2", "secret"),
    ]
    ids = await place(database, *(a_placement(("APPLE", 1)) for _ in outcomes))
    steps = [a_step(order_id, an_asked()) for order_id in ids]
    await payments.send(tx, [(to_pay(step.call.order_id), step.attempt) for step in steps])

    await payments.record(tx, list(zip(steps, outcomes, strict=True)))

    written = {row.order_id: (row.state, row.gateway_ref, row.error) for row in await rows(tx)}
    assert [written[order_id] for order_id in ids] == [
        ("succeeded", "pi_1", None),
        ("declined", None, "expired_card"),
        ("unknown", None, "timeout"),
        ("created", None, "refused"),
        ("action_required", "pi_2", None),
    ]
    assert [bool(await booked(tx, step.attempt)) for step in steps] == [True, *[False] * 4]
