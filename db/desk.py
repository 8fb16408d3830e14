"""The payments desk: what no gateway could say yet, what was asked, and when it is asked again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch

# More are counted as so many and more.
COUNTED_MAX = 10_000


class OpenPayment(msgspec.Struct, frozen=True):
    """An attempt whose outcome is open, and its order.

    `next_at` is when it is looked up, None if a worker is just asking or nobody will;
    `window_until` is when it is for a person to decide.
    """

    order_id: UUID
    status: str
    email: str
    attempt_id: UUID
    kind: str
    state: str
    amount_minor: int
    currency: str
    gateway: str
    gateway_ref: str | None
    error: str | None
    sent_at: datetime | None
    window_until: datetime | None
    next_at: datetime | None
    asking: bool
    asked: int
    last_error: str | None


class Counts(msgspec.Struct, frozen=True):
    """How many there are of each, up to COUNTED_MAX; what is in review is not among the unknown."""

    unknown: int
    action_required: int
    review: int


async def waiting(
    tx: AsyncConnection, *, review: bool, window: timedelta, after: UUID | None, limit: int
) -> Sequence[OpenPayment]:
    """List open payments by order, oldest first: those in review, or those that are asked after."""
    return await fetch(
        tx,
        OpenPayment,
        """
        SELECT o.id, o.status, o.email, a.id, a.kind, a.state, a.amount_minor, a.currency,
               a.gateway, a.gateway_ref, a.error, a.sent_at, a.sent_at + %(window)s,
               t.next_at, coalesce(t.asking, false), coalesce(t.asked, 0), t.last_error
        FROM (
            SELECT * FROM payment_attempts
            WHERE state IN ('sent', 'unknown', 'action_required') AND state <> 'sent'
              AND order_id > %(after)s
              AND (NOT %(review)s OR order_id IN (SELECT id FROM orders WHERE status = 'review'))
            ORDER BY order_id LIMIT %(looked)s
        ) AS a
        JOIN orders o ON o.id = a.order_id
        CROSS JOIN LATERAL (
            SELECT min(run_at) FILTER (WHERE state = 'ready') AS next_at,
                   bool_or(state = 'running') AS asking, max(attempt) AS asked,
                   max(last_error) AS last_error
            FROM tasks
            WHERE order_id = o.id AND queue = 'payments' AND state IN ('ready', 'running')
        ) AS t
        WHERE (o.status = 'review') = %(review)s
        ORDER BY o.id LIMIT %(limit)s
        """,
        {
            "review": review,
            "window": window,
            "after": after or UUID(int=0),
            "looked": COUNTED_MAX,
            "limit": limit,
        },
    )


async def count(tx: AsyncConnection) -> Counts:
    """Count what is open."""
    [found] = await fetch(
        tx,
        Counts,
        """
        SELECT count(*) FILTER (WHERE a.state = 'unknown' AND o.status <> 'review'),
               count(*) FILTER (WHERE a.state = 'action_required'),
               (SELECT count(*) FROM (SELECT FROM orders WHERE status = 'review' LIMIT %(most)s))
        FROM (SELECT order_id, state FROM payment_attempts
              WHERE state IN ('sent', 'unknown', 'action_required') LIMIT %(most)s) AS a
        JOIN orders o ON o.id = a.order_id
        """,
        {"most": COUNTED_MAX},
    )
    return found
