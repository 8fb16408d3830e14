"""Explanations: the facts that say why an order is where it is."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import backorders, snapshots
from db.engine import fetch
from db.payables import AttemptRow, attempt_of
from db.tasks import KNOWN
from domain.attempt import Window
from domain.event import OrderCancelled, PaymentDisputed
from domain.explanation import BreakerState, DatedAttempt, Facts, QueueState, Subject, Work
from domain.money import Money
from domain.refusal import NotFound
from domain.status import Status
from domain.task import Kind, Queue, State
from ops.config import Settings

# Only the first SKU that lacks is acted on; a few more show how bad it is.
SHORT_MAX = 5
# Partial captures and refunds of one order, and the processes of one installation.
ATTEMPTS_MAX, BREAKERS_MAX = 1000, 1000


class _Row(msgspec.Struct):
    id: UUID
    status: str
    total_minor: int
    currency: str
    reserved_until: datetime | None
    since: datetime
    cancelled: dict[str, Any] | None
    had_stock: bool
    disputed: dict[str, Any] | None
    disputed_at: datetime | None
    now: datetime


async def get(tx: AsyncConnection, order_id: UUID, settings: Settings) -> Facts:
    """Read what an order's explanation goes by, all as of one moment; raises NotFound.

    The transaction has run no statement yet.
    """
    # An order that moves between two statements would otherwise be told of in halves.
    await snapshots.hold(tx)
    row = await _row(tx, order_id)
    order = _subject(row)
    lease = timedelta(seconds=settings.lease_s)
    tasks = await _tasks(tx, order_id, lease)
    if order.status is Status.BACKORDERED:
        waiting = await backorders.waiting(tx, order_id, limit=SHORT_MAX)
        order = msgspec.structs.replace(order, waiting=waiting)
        tasks += await _fills(tx, order_id, lease)
    return Facts(
        order,
        tasks,
        await _attempts(tx, order_id),
        await _queues(tx),
        await _breakers(tx, timedelta(seconds=settings.breaker_open_s)),
        Window(row.now, timedelta(seconds=settings.gateway_window_s)),
    )


async def _row(tx: AsyncConnection, order_id: UUID) -> _Row:
    rows = await fetch(
        tx,
        _Row,
        """
        SELECT id, status, total_minor, currency, reserved_until,
               (SELECT coalesce(min(at), o.created_at) FROM order_events e
                WHERE e.order_id = o.id AND e.status = o.status),
               (SELECT data FROM order_events e
                WHERE e.order_id = o.id AND e.kind = 'order_cancelled'),
               EXISTS (SELECT FROM reservations r WHERE r.order_id = o.id),
               disputed.data, disputed.at, now()
        FROM orders o
        LEFT JOIN LATERAL (
            SELECT data, at FROM order_events e
            WHERE e.order_id = o.id AND e.kind = 'payment_disputed'
            ORDER BY version DESC LIMIT 1) disputed ON true
        WHERE id = %(id)s
        """,
        {"id": order_id},
    )
    if not rows:
        raise NotFound(f"There is no order {order_id}.")
    return rows[0]


def _subject(row: _Row) -> Subject:
    told, disputed = row.cancelled, row.disputed
    return Subject(
        row.id,
        Status(row.status),
        row.since,
        Money(row.total_minor, row.currency),
        row.reserved_until,
        None if told is None else msgspec.convert(told, OrderCancelled),
        row.had_stock,
        disputed=None if disputed is None else msgspec.convert(disputed, PaymentDisputed),
        disputed_at=row.disputed_at,
    )


def _work(task_id: int, kind: str, state: str, *columns: Any) -> Work:  # noqa: ANN401 - those of a Work
    return Work(task_id, Kind(kind), State(state), *columns)


async def _tasks(tx: AsyncConnection, order_id: UUID, lease: timedelta) -> list[Work]:
    return await fetch(
        tx,
        _work,
        """
        SELECT id, kind, state, payload, attempt, attempts_max, created_at, run_at,
               lease_until - %(lease)s, lease_until, finished_at, last_error
        FROM tasks WHERE order_id = %(id)s AND state IN ('ready', 'running', 'dead')
          AND kind = ANY (%(known)b::text[]) ORDER BY id
        """,
        {"id": order_id, "lease": lease, "known": KNOWN},
    )


async def _fills(tx: AsyncConnection, order_id: UUID, lease: timedelta) -> list[Work]:
    """Find what gives out stock that an order waits for; what was given up, if nothing else."""
    # One query for each state: there is an index of each.
    return await fetch(
        tx,
        _work,
        """
        SELECT id, kind, state, payload, attempt, attempts_max, created_at, run_at,
               lease_until - %(lease)s, lease_until, finished_at, last_error
        FROM (SELECT * FROM tasks WHERE state = 'ready' AND queue = 'inventory' UNION ALL
              SELECT * FROM tasks WHERE state = 'running' AND queue = 'inventory' UNION ALL
              SELECT * FROM tasks WHERE state = 'dead' AND queue = 'inventory') AS t
        WHERE kind = 'fill_backorders' AND payload ->> 'sku' IN (
            SELECT sku FROM order_lines WHERE order_id = %(id)s)
        ORDER BY state = 'dead', id LIMIT 1
        """,
        {"id": order_id, "lease": lease},
    )


class _AttemptRow(AttemptRow):
    updated_at: datetime
    expires_at: datetime | None


async def _attempts(tx: AsyncConnection, order_id: UUID) -> Sequence[DatedAttempt]:
    rows = await fetch(
        tx,
        _AttemptRow,
        """
        SELECT id, kind, state, amount_minor, gateway, gateway_ref, sent_at, final, reason, error,
               updated_at, expires_at
        FROM payment_attempts WHERE order_id = %(id)s ORDER BY created_at, id LIMIT %(limit)s
        """,
        {"id": order_id, "limit": ATTEMPTS_MAX},
    )
    return [
        DatedAttempt(*attempt_of(row), updated_at=row.updated_at, expires_at=row.expires_at)
        for row in rows
    ]


class _QueueRow(msgspec.Struct):
    name: str
    paused: bool
    running_max: int | None
    running: int


async def _queues(tx: AsyncConnection) -> Mapping[Queue, QueueState]:
    rows = await fetch(
        tx,
        _QueueRow,
        """
        SELECT name, paused, running_max, CASE WHEN running_max IS NULL THEN 0 ELSE (
            SELECT count(*) FROM tasks WHERE queue = name AND state = 'running') END
        FROM queues WHERE name = ANY (%(known)b::text[])
        """,
        {"known": [queue.value for queue in Queue]},
    )
    return {Queue(row.name): QueueState(row.paused, row.running_max, row.running) for row in rows}


async def _breakers(tx: AsyncConnection, open_for: timedelta) -> Sequence[BreakerState]:
    return await fetch(
        tx,
        BreakerState,
        """
        SELECT gateway, 'open', since, now() + %(open_for)s, true FROM gateway_switches
        WHERE forced = 'open'
        UNION ALL (
        SELECT gateway, state, since, since + %(open_for)s, false FROM gateway_breakers
        WHERE state <> 'closed' AND gateway NOT IN (SELECT gateway FROM gateway_switches)
        ORDER BY since DESC LIMIT %(limit)s)
        """,
        {"open_for": open_for, "limit": BREAKERS_MAX},
    )
