"""What the schema refuses of money, and that the previous release goes on upon it."""

from collections.abc import Sequence
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db import orders, payables
from db.engine import Database, run, transaction
from db.ids import new_id
from domain import order
from tests.builders import a_placement, place, put_products

ENTRY = """
    INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency)
    VALUES (:id, :account, :order_id, :minor, :currency)
    """
BALANCED = [("gateway_cash", 971, "GBP"), ("fees", 29, "GBP"), ("receivable", -1000, "GBP")]


@pytest.fixture
async def order_id(database: Database) -> UUID:
    await put_products(database, APPLE=10)
    [placed] = await place(database, a_placement(("APPLE", 2)))
    return placed


async def _book(
    tx: AsyncConnection, entries: Sequence[tuple[str, int, str]], transaction_id: UUID | None = None
) -> None:
    transaction_id = transaction_id or new_id()
    for account, minor, currency in entries:
        entry = {"id": transaction_id, "account": account, "minor": minor, "currency": currency}
        await tx.execute(text(ENTRY), {**entry, "order_id": new_id()})


async def _booked(database: Database) -> int:
    async with transaction(database) as tx:
        return (await tx.execute(text("SELECT count(*) FROM ledger_entries"))).scalar_one()


@pytest.mark.parametrize(
    "entries",
    [
        BALANCED[:2],
        [("gateway_cash", 1000, "GBP"), ("receivable", -999, "GBP")],
        [("gateway_cash", 1000, "GBP"), ("receivable", -1000, "EUR")],
    ],
)
async def test_ledger_transaction_that_does_not_sum_to_zero_is_refused_at_its_commit(
    database: Database, entries: Sequence[tuple[str, int, str]]
) -> None:
    async def book() -> None:
        async with transaction(database) as tx:
            await _book(tx, BALANCED)
            await _book(tx, entries)

    with pytest.raises(IntegrityError, match="does not sum to zero") as refused:
        await book()

    assert isinstance(refused.value.orig, psycopg.errors.CheckViolation)
    assert refused.value.orig.diag.constraint_name == "ledger_entries_balanced"
    assert await _booked(database) == 0


async def test_ledger_transaction_need_sum_to_zero_only_once_it_is_committed(
    database: Database,
) -> None:
    transaction_id = new_id()

    async with transaction(database) as tx:
        for entry in BALANCED:
            await _book(tx, [entry], transaction_id)

    assert await _booked(database) == 3


async def test_entry_that_is_changed_alone_is_refused(database: Database) -> None:
    async with transaction(database) as tx:
        await _book(tx, BALANCED)

    async def falsify() -> None:
        async with transaction(database) as tx:
            change = "UPDATE ledger_entries SET amount_minor = 1 WHERE account = 'fees'"
            await tx.execute(text(change))

    with pytest.raises(IntegrityError, match="does not sum to zero"):
        await falsify()


@pytest.mark.parametrize(
    "corruption",
    [
        "UPDATE payment_attempts SET amount_minor = 0",
        "UPDATE payment_attempts SET fee_minor = -1",
        "UPDATE ledger_entries SET amount_minor = 0",
        "UPDATE ledger_entries SET account = 'cash'",
    ],
)
async def test_amount_that_cannot_be_is_refused_by_the_table(
    tx: AsyncConnection, order_id: UUID, corruption: str
) -> None:
    await _book(tx, BALANCED)
    await run(tx, PREVIOUS_SEND, _sent(new_id(), order_id))

    with pytest.raises(IntegrityError, match="violates check constraint"):
        await tx.execute(text(corruption))


# What the release before wrote: it may run on this schema for as long as a deploy takes.
PREVIOUS_PLACE = """
    INSERT INTO orders (id, email, status, currency, total_minor, payment_method, ship_to,
                        version, traceparent)
    SELECT id, email, status, currency, total_minor, payment_method, ship_to::jsonb,
           version, traceparent
    FROM unnest(%(id)b::uuid[], %(email)b::text[], %(status)b::text[], %(currency)b::text[],
                %(total_minor)b::bigint[], %(payment_method)b::text[], %(ship_to)b::text[],
                %(version)b::int[], %(traceparent)b::text[])
      AS o (id, email, status, currency, total_minor, payment_method, ship_to, version,
            traceparent)
    """
PREVIOUS_CHANGE = """
    UPDATE orders o
    SET status = c.status, version = c.version, updated_at = statement_timestamp(),
        cancel_reason = coalesce(c.cancel_reason, o.cancel_reason)
    FROM unnest(%(id)b::uuid[], %(was)b::int[], %(version)b::int[], %(status)b::text[],
                %(cancel_reason)b::text[]) AS c (id, was, version, status, cancel_reason)
    WHERE o.id = c.id AND o.version = c.was
    """
PREVIOUS_SEND = """
    INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway)
    SELECT id, order_id, kind, 'sent', amount_minor, currency, %(gateway)s
    FROM unnest(%(id)b::uuid[], %(order_id)b::uuid[], %(kind)b::text[],
                %(amount_minor)b::bigint[], %(currency)b::text[])
      AS a (id, order_id, kind, amount_minor, currency)
    ON CONFLICT (id) DO UPDATE SET state = 'sent', updated_at = now()
    """
PREVIOUS_RECORD = """
    UPDATE payment_attempts a
    SET state = v.state, gateway_ref = coalesce(v.gateway_ref, a.gateway_ref),
        error = v.error, updated_at = now()
    FROM unnest(%(id)b::uuid[], %(state)b::text[], %(gateway_ref)b::text[],
                %(error)b::text[]) AS v (id, state, gateway_ref, error)
    WHERE a.id = v.id
    """
PREVIOUS_BOOK = """
    INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency)
    SELECT id, account, order_id, sign * amount_minor, currency
    FROM unnest(%(id)b::uuid[], %(order_id)b::uuid[], %(amount_minor)b::bigint[],
                %(currency)b::text[]) AS m (id, order_id, amount_minor, currency)
    CROSS JOIN (VALUES ('gateway_cash', 1), ('receivable', -1)) AS side (account, sign)
    """


def _sent(attempt_id: UUID, order_id: UUID, kind: str = "charge") -> dict[str, object]:
    return {
        "gateway": "stripe",
        "id": [attempt_id],
        "order_id": [order_id],
        "kind": [kind],
        "amount_minor": [1000],
        "currency": ["GBP"],
    }


async def _previous_release_moves(
    tx: AsyncConnection, order_id: UUID, was: int, status: str, reason: str | None = None
) -> None:
    moved = {"id": [order_id], "was": [was], "version": [was + 1], "status": [status]}
    assert await run(tx, PREVIOUS_CHANGE, {**moved, "cancel_reason": [reason]}) == 1


async def _previous_release_settles(
    tx: AsyncConnection, order_id: UUID, kind: str, sign: int
) -> None:
    attempt_id = new_id()
    sent = _sent(attempt_id, order_id, kind)
    done = {"id": [attempt_id], "state": ["succeeded"], "gateway_ref": ["pi_1"], "error": [None]}
    await run(tx, PREVIOUS_SEND, sent)
    await run(tx, PREVIOUS_RECORD, done)
    await run(tx, PREVIOUS_BOOK, {**sent, "amount_minor": [sign * 1000]})


async def test_previous_release_places_charges_and_refunds_on_this_schema(
    database: Database,
) -> None:
    order_id = new_id()
    placed = {
        "id": [order_id],
        "email": ["ann@example.com"],
        "status": ["placed"],
        "currency": ["GBP"],
        "total_minor": [1000],
        "payment_method": ["pm_card_visa"],
        "ship_to": ["{}"],
        "version": [1],
        "traceparent": [None],
    }
    async with transaction(database) as tx:
        await run(tx, PREVIOUS_PLACE, placed)
        await _previous_release_moves(tx, order_id, 1, "reserved")
        await _previous_release_settles(tx, order_id, "charge", 1)
        await _previous_release_moves(tx, order_id, 2, "paid")
        await _previous_release_moves(tx, order_id, 3, "cancelled", "customer")
        await _previous_release_settles(tx, order_id, "refund", -1)

    async with transaction(database) as tx:
        payable = await payables.lock(tx, order_id)
    assert (payable.capture, payable.holds, payable.status) == ("automatic", False, "cancelled")
    assert [(a.kind, a.state) for a in payable.attempts] == [
        ("charge", "succeeded"),
        ("refund", "succeeded"),
    ]


async def test_charge_that_the_previous_release_left_open_is_taken_over(
    database: Database, order_id: UUID
) -> None:
    async with transaction(database) as tx:
        await orders.change(tx, order_id, order.reserve)
        await run(tx, PREVIOUS_SEND, _sent(new_id(), order_id))

    async with transaction(database) as tx:
        left = (await payables.lock(tx, order_id)).unsettled()

    # Its key may be forgotten by now, and the window has begun: it was sent when it was written.
    assert left is not None
    assert left.sent_at is not None
