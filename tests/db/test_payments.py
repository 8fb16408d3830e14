"""Attempts are written before they are made, one at a time, and read under the order's lock."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from db import payables, payments
from db.engine import Database, transaction
from db.ids import new_id
from domain.funds import OPEN, TAKING, AttemptKind, AttemptState, Payable
from domain.payment import (
    ActionRequired,
    Capture,
    Declined,
    OnDecline,
    Outcome,
    RefundReason,
    Succeeded,
    Unknown,
    Unsent,
)
from domain.refusal import NotFound
from domain.status import Status
from tests.builders import a_placement, an_attempt, place, put_products
from tests.db.attempts import TOTAL, an_asked, rows, send, settled, to_pay
from tests.db.backends import Admin, until_blocked

OPEN_OUTCOMES = (None, Unknown("timeout"), ActionRequired("pi_1", "secret"))
EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
async def order_id(database: Database) -> UUID:
    await put_products(database, APPLE=10)
    [placed] = await place(database, a_placement(("APPLE", 2)))
    return placed


async def _states(tx: AsyncConnection) -> list[tuple[str, str, str | None, str | None]]:
    return [(row.kind, row.state, row.gateway_ref, row.error) for row in await rows(tx)]


async def test_attempt_is_written_as_sent_with_what_is_asked(
    tx: AsyncConnection, order_id: UUID
) -> None:
    reason = RefundReason.DUPLICATE
    refund = an_attempt(AttemptKind.REFUND, AttemptState.CREATED, 300, final=False, reason=reason)

    await send(tx, order_id, refund)

    [row] = await rows(tx)
    assert (row.id, row.order_id, row.kind, row.state) == (refund.id, order_id, "refund", "sent")
    assert (row.amount_minor, row.currency, row.gateway) == (300, "GBP", "stripe")
    assert (row.final, row.reason, row.gateway_ref) == (False, "duplicate", None)
    assert row.sent_at is not None


async def test_attempt_that_is_asked_for_is_written_but_not_sent(
    tx: AsyncConnection, order_id: UUID
) -> None:
    asked = an_asked(AttemptKind.REFUND)

    await payments.insert(tx, [(to_pay(order_id), asked)])
    [row] = await rows(tx)
    assert (row.state, row.sent_at) == ("created", None)

    await send(tx, order_id, asked)
    [row] = await rows(tx)
    assert row.state == "sent"
    assert row.sent_at is not None


@pytest.mark.parametrize("outcome", [*OPEN_OUTCOMES, Unsent("refused"), Succeeded("pi_1")])
@pytest.mark.parametrize("kind", sorted(TAKING))
async def test_second_charge_of_an_order_cannot_be_written_while_one_stands(
    tx: AsyncConnection, order_id: UUID, kind: AttemptKind, outcome: Outcome | None
) -> None:
    await settled(tx, order_id, an_asked(), outcome)

    with pytest.raises(psycopg.errors.UniqueViolation, match=r"payment_attempts_(taking|open)"):
        await send(tx, order_id, an_asked(kind))


@pytest.mark.parametrize("outcome", OPEN_OUTCOMES)
@pytest.mark.parametrize("kind", [kind for kind in AttemptKind if kind not in TAKING])
async def test_second_operation_of_an_order_cannot_be_sent_while_one_is_open(
    tx: AsyncConnection, order_id: UUID, kind: AttemptKind, outcome: Outcome | None
) -> None:
    await settled(tx, order_id, an_asked(), outcome)
    await payments.insert(tx, [(to_pay(order_id), asked := an_asked(kind))])

    with pytest.raises(psycopg.errors.UniqueViolation, match="payment_attempts_open"):
        await send(tx, order_id, asked)


async def test_several_captures_and_refunds_may_succeed_one_after_the_other(
    tx: AsyncConnection, order_id: UUID
) -> None:
    done = Succeeded("ref")
    await settled(tx, order_id, an_asked(AttemptKind.AUTHORIZE), done)

    for kind in (AttemptKind.CAPTURE, AttemptKind.REFUND) * 2:
        await settled(tx, order_id, an_asked(kind, 300), done)

    assert [row.state for row in await rows(tx)] == ["succeeded"] * 5


async def test_two_workers_cannot_both_send_a_first_charge(
    database: Database, order_id: UUID, admin: Admin
) -> None:
    async def send_another() -> None:
        async with transaction(database) as tx:
            await send(tx, order_id, an_asked())

    async with transaction(database) as first:
        await send(first, order_id, an_asked())
        second = asyncio.create_task(send_another())
        await until_blocked(admin)

    with pytest.raises(psycopg.errors.UniqueViolation):
        await second


@pytest.mark.parametrize("kind", sorted(TAKING))
async def test_declined_charge_makes_room_for_another(
    tx: AsyncConnection, order_id: UUID, kind: AttemptKind
) -> None:
    await settled(tx, order_id, an_asked(), Declined("expired_card"))
    await send(tx, order_id, an_asked(kind))

    assert sorted(await _states(tx)) == sorted(
        [("charge", "declined", None, "expired_card"), (kind.value, "sent", None, None)]
    )


async def test_only_what_was_not_sent_is_withdrawn(tx: AsyncConnection, order_id: UUID) -> None:
    sent = await settled(tx, order_id, an_asked(), None)
    asked = an_asked(AttemptKind.CAPTURE)
    await payments.insert(tx, [(to_pay(order_id), asked)])

    await payments.withdraw(tx, [sent.id, asked.id], code="withdrawn")
    await payments.withdraw(tx, [], code="withdrawn")

    states = {row.id: (row.state, row.error) for row in await rows(tx)}
    assert states == {sent.id: ("sent", None), asked.id: ("declined", "withdrawn")}


async def test_nothing_to_write_writes_nothing(tx: AsyncConnection) -> None:
    await payments.send(tx, [])
    await payments.insert(tx, [])

    assert await _states(tx) == []


async def test_payables_tell_of_the_order_and_of_all_its_attempts(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10)
    hold = a_placement(("APPLE", 2), capture=Capture.MANUAL, on_decline=OnDecline.HOLD)
    fresh, held = await place(database, a_placement(("APPLE", 2)), hold)
    no = await settled(tx, held, an_asked(AttemptKind.AUTHORIZE), Declined("no"))
    yes = await settled(tx, held, an_asked(AttemptKind.AUTHORIZE), Succeeded("pi_1"))
    part = an_attempt(AttemptKind.CAPTURE, AttemptState.CREATED, 300, final=False)
    await payments.insert(tx, [(to_pay(held), part)])

    now, locked = await payables.lock_many(tx, [held, fresh, new_id()])

    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)
    assert locked[fresh] == Payable(fresh, Status.PLACED, TOTAL, "pm_card_visa")
    found = locked[held]
    assert (found.capture, found.holds, found.total) == (Capture.MANUAL, True, TOTAL)
    read = {a.id: (a.kind, a.state, a.amount_minor, a.error) for a in found.attempts}
    assert read == {
        no.id: ("authorize", "declined", 1000, "no"),
        yes.id: ("authorize", "succeeded", 1000, None),
        part.id: ("capture", "created", 300, None),
    }
    assert found.get(yes.id) == found.taking()
    assert found.get(part.id) == msgspec.structs.replace(part, gateway_ref=None)


async def test_attempts_of_an_order_are_read_oldest_first(
    database: Database, order_id: UUID
) -> None:
    sent: list[UUID] = []
    for _ in range(3):
        async with transaction(database) as tx:
            sent.append((await settled(tx, order_id, an_asked(), Declined("no"))).id)

    async with transaction(database) as tx:
        locked = await payables.lock(tx, order_id)
        shown = await payments.page(tx, order_id)

    assert [a.id for a in locked.attempts] == sent
    assert [view.id for view in shown] == sent
    assert {view.state for view in shown} == {"declined"}


async def test_people_see_what_became_of_an_attempt(tx: AsyncConnection, order_id: UUID) -> None:
    attempt = await settled(tx, order_id, an_asked(), Succeeded("pi_1", 29, EXPIRES))

    [view] = await payments.page(tx, order_id)

    assert (view.id, view.kind, view.state) == (attempt.id, "charge", "succeeded")
    assert (view.amount_minor, view.currency, view.fee_minor) == (1000, "GBP", 29)
    assert (view.gateway, view.gateway_ref, view.expires_at) == ("stripe", "pi_1", EXPIRES)
    assert await payments.page(tx, new_id()) == []


async def test_order_that_is_not_there_cannot_be_locked(tx: AsyncConnection) -> None:
    with pytest.raises(NotFound, match="There is no order"):
        await payables.lock(tx, new_id())
    with pytest.raises(NotFound):
        await payables.lock_many(tx, [new_id()])


async def test_payable_that_is_waited_for_tells_of_the_attempt_made_meanwhile(
    database: Database, order_id: UUID, admin: Admin
) -> None:
    async def lock() -> Payable:
        async with transaction(database) as tx:
            return await payables.lock(tx, order_id)

    async with transaction(database) as first:
        await payables.lock(first, order_id)
        waiting = asyncio.create_task(lock())
        await until_blocked(admin)
        await send(first, order_id, attempt := an_asked())

    found = (await waiting).unsettled()
    assert found is not None
    assert (found.id, found.state in OPEN) == (attempt.id, True)
