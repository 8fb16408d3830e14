"""Payables: orders as far as their money goes, read with all their attempts under a lock."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from domain.funds import Attempt, AttemptKind, AttemptState, Payable
from domain.money import Money
from domain.payment import Capture, OnDecline, RefundReason
from domain.refusal import NotFound
from domain.status import Status


class _PayableRow(msgspec.Struct):
    order_id: UUID
    status: str
    total_minor: int
    currency: str
    payment_method: str
    capture: str
    on_decline: str
    reserved_until: datetime | None
    now: datetime


class AttemptRow(msgspec.Struct):
    """What every reader of attempts reads of them, in this order."""

    id: UUID
    kind: str
    state: str
    amount_minor: int
    gateway: str
    gateway_ref: str | None
    sent_at: datetime | None
    final: bool
    reason: str | None
    error: str | None


class _AttemptOfOrder(AttemptRow):
    order_id: UUID


AttemptFields = tuple[
    UUID,
    AttemptKind,
    AttemptState,
    int,
    str,
    str | None,
    datetime | None,
    bool,
    RefundReason | None,
    str | None,
]

_ORDERS = """
    SELECT id, status, total_minor, currency, payment_method, capture, on_decline,
           reserved_until, clock_timestamp()
    FROM orders WHERE id = ANY (%(ids)b::uuid[]) ORDER BY id"""


async def lock_many(
    tx: AsyncConnection, order_ids: Sequence[UUID]
) -> tuple[datetime, Mapping[UUID, Payable]]:
    """Lock orders, in the order of their ids, and read their attempts; gives the time as well.

    Two statements: the second sees the attempts that were committed while the first waited.
    """
    return await _read(tx, _ORDERS + " FOR NO KEY UPDATE", order_ids)


async def find_many(
    tx: AsyncConnection, order_ids: Sequence[UUID]
) -> tuple[datetime, Mapping[UUID, Payable]]:
    """Read orders with their attempts without a lock, to show what they allow just now."""
    return await _read(tx, _ORDERS, order_ids)


async def _read(
    tx: AsyncConnection, query: LiteralString, order_ids: Sequence[UUID]
) -> tuple[datetime, Mapping[UUID, Payable]]:
    orders = await fetch(tx, _PayableRow, query, {"ids": list(order_ids)})
    if not orders:
        raise NotFound("There is no such order.")
    attempts = await _attempts(tx, order_ids)
    found = {row.order_id: _payable(row, attempts.get(row.order_id, ())) for row in orders}
    return orders[0].now, found


async def lock(tx: AsyncConnection, order_id: UUID) -> Payable:
    """Lock one order and read its attempts; raises NotFound."""
    try:
        _, found = await lock_many(tx, [order_id])
    except NotFound:
        raise NotFound(f"There is no order {order_id}.") from None
    return found[order_id]


async def _attempts(
    tx: AsyncConnection, order_ids: Sequence[UUID]
) -> Mapping[UUID, Sequence[Attempt]]:
    rows = await fetch(
        tx,
        _AttemptOfOrder,
        """
        SELECT id, kind, state, amount_minor, gateway, gateway_ref,
               CASE WHEN state IN ('sent', 'unknown') THEN coalesce(sent_at, created_at)
               ELSE sent_at END,
               final, reason, error, order_id
        FROM payment_attempts WHERE order_id = ANY (%(ids)b::uuid[]) ORDER BY created_at, id
        """,
        {"ids": list(order_ids)},
    )
    found: dict[UUID, list[Attempt]] = {}
    for row in rows:
        found.setdefault(row.order_id, []).append(Attempt(*attempt_of(row)))
    return found


def _payable(row: _PayableRow, attempts: Sequence[Attempt]) -> Payable:
    return Payable(
        row.order_id,
        Status(row.status),
        Money(row.total_minor, row.currency),
        row.payment_method,
        Capture(row.capture),
        row.on_decline == OnDecline.HOLD,
        tuple(attempts),
        row.reserved_until,
    )


def attempt_of(row: AttemptRow) -> AttemptFields:
    """Give the fields of an attempt, of which there are several kinds."""
    return (
        row.id,
        AttemptKind(row.kind),
        AttemptState(row.state),
        row.amount_minor,
        row.gateway,
        row.gateway_ref,
        row.sent_at,
        row.final,
        None if row.reason is None else RefundReason(row.reason),
        row.error,
    )
