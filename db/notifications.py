"""Notifications: one row per order, kind and channel, written before anything is sent."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tasks
from db.engine import fetch, run
from domain.event import CancelReason
from domain.mail import Delivery, Refused, Sent
from domain.money import Money
from domain.notice import Position, Told, extras
from domain.order import IllegalMove
from domain.refusal import Conflict
from domain.task import Kind, NewTask, Notice

EMAIL = "email"

Key = tuple[UUID, Notice]


class _ToldRow(msgspec.Struct):
    order_id: UUID
    notice: str
    email: str
    total_minor: int
    currency: str
    cancel_reason: str | None
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    tax_included: bool
    names: list[str]
    quantities: list[int]
    amounts: list[int]


async def insert(tx: AsyncConnection, keys: Sequence[Key]) -> dict[Key, Told]:
    """Note mails as pending and read what they tell; those already sent are left out."""
    rows = await fetch(
        tx,
        _ToldRow,
        """
        WITH asked AS MATERIALIZED (
            SELECT DISTINCT *
            FROM unnest(%(order_id)b::uuid[], %(kind)b::text[]) AS k (order_id, kind)
        ), noted AS (
            INSERT INTO notifications (order_id, kind, channel, recipient)
            SELECT order_id, kind, %(channel)s, email
            FROM asked JOIN orders o ON o.id = order_id
            ON CONFLICT (order_id, kind, channel) DO UPDATE SET state = notifications.state
            RETURNING order_id, kind, recipient, state
        )
        SELECT n.order_id, n.kind, n.recipient, o.total_minor, o.currency, o.cancel_reason,
               o.discount_minor, o.shipping_minor, o.tax_minor, o.tax_included,
               l.names, l.quantities, l.amounts
        FROM noted n JOIN orders o ON o.id = n.order_id
        CROSS JOIN LATERAL (
            SELECT array_agg(coalesce(l.name, p.name, l.sku) ORDER BY line) AS names,
                   array_agg(quantity ORDER BY line) AS quantities,
                   array_agg(quantity * unit_minor ORDER BY line) AS amounts
            FROM order_lines l LEFT JOIN variants p USING (sku) WHERE l.order_id = n.order_id
        ) AS l
        WHERE n.state = 'pending'
        """,
        {
            "order_id": [order_id for order_id, _ in keys],
            "kind": [notice.value for _, notice in keys],
            "channel": EMAIL,
        },
    )
    return {(row.order_id, Notice(row.notice)): _told(row) for row in rows}


def _told(row: _ToldRow) -> Told:
    columns = zip(row.names, row.quantities, row.amounts, strict=True)
    positions = [Position(name, n, Money(minor, row.currency)) for name, n, minor in columns]
    reason = None if row.cancel_reason is None else CancelReason(row.cancel_reason)
    total = Money(row.total_minor, row.currency)
    beside = extras(
        row.currency,
        discount_minor=row.discount_minor,
        shipping_minor=row.shipping_minor,
        tax_minor=row.tax_minor,
        tax_included=row.tax_included,
    )
    return Told(row.order_id, row.email, total, reason, positions, tuple(beside))


async def record(tx: AsyncConnection, deliveries: Sequence[tuple[Key, Delivery]]) -> None:
    """Write which mails were taken or refused; those still to be tried stay pending."""
    ended = [(key, d) for key, d in deliveries if isinstance(d, Sent | Refused)]
    if not ended:
        return
    await run(
        tx,
        """
        UPDATE notifications n
        SET state = v.state, error = v.error,
            sent_at = CASE v.state WHEN 'sent' THEN now() END
        FROM unnest(%(order_id)b::uuid[], %(kind)b::text[], %(state)b::text[],
                    %(error)b::text[]) AS v (order_id, kind, state, error)
        WHERE n.order_id = v.order_id AND n.kind = v.kind AND n.channel = %(channel)s
        """,
        {
            "order_id": [order_id for (order_id, _), _ in ended],
            "kind": [notice.value for (_, notice), _ in ended],
            "state": ["sent" if isinstance(d, Sent) else "refused" for _, d in ended],
            "error": [d.reason if isinstance(d, Refused) else None for _, d in ended],
            "channel": EMAIL,
        },
    )


class Fate(msgspec.Struct, frozen=True):
    """How a mail stood."""

    state: str
    sent_at: datetime | None


async def reopen(tx: AsyncConnection, order_id: UUID, notice: Notice) -> Fate:
    """Have a mail sent once more by the same stage; gives how it stood.

    What was given up of it is over. The caller holds the order's lock. Raises IllegalMove for a
    mail that was never written, and Conflict for one that is under way.
    """
    given = {"order_id": order_id, "kind": notice.value, "channel": EMAIL}
    found = await fetch(
        tx,
        Fate,
        """
        SELECT state, sent_at FROM notifications
        WHERE order_id = %(order_id)s AND kind = %(kind)s AND channel = %(channel)s FOR UPDATE
        """,
        given,
    )
    if not found:
        raise IllegalMove(f"There is no mail {notice} of this order that could be sent again.")
    if await _is_under_way(tx, order_id, notice):
        raise Conflict("This mail is under way: nothing is sent beside it.")
    await run(
        tx,
        """
        UPDATE notifications SET state = 'pending', sent_at = NULL, error = NULL
        WHERE order_id = %(order_id)s AND kind = %(kind)s AND channel = %(channel)s
        """,
        given,
    )
    await run(
        tx,
        """
        UPDATE tasks SET state = 'cancelled', finished_at = now()
        WHERE order_id = %(order_id)s AND kind = 'notify' AND state = 'dead'
          AND payload ->> 'notice' = %(kind)s
        """,
        given,
    )
    await tasks.schedule(tx, NewTask(Kind.NOTIFY, {"notice": notice.value}), order_id=order_id)
    return found[0]


async def _is_under_way(tx: AsyncConnection, order_id: UUID, notice: Notice) -> bool:
    found = await fetch(
        tx,
        int,
        """
        SELECT 1 FROM tasks WHERE order_id = %(order_id)s AND kind = 'notify'
          AND state IN ('ready', 'running') AND payload ->> 'notice' = %(kind)s LIMIT 1
        """,
        {"order_id": order_id, "kind": notice.value},
    )
    return bool(found)
