"""The timeline: one row per version of an order, appended with the change it tells of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tables
from db.engine import run
from domain import event
from domain.order import Change

TIMELINE_MAX = 1000


class TimelineEntry(msgspec.Struct, frozen=True):
    version: int
    kind: str
    status: str
    data: dict[str, Any]
    at: datetime


async def append(tx: AsyncConnection, changes: Sequence[Change]) -> None:
    """Append the events of changes; the caller holds the row locks of their orders.

    Their time is that of the statement: that of the transaction may lie before the wait for the
    lock, and so before the event that stands in front of them.
    """
    told = [
        (change.order, change.order.version - len(change.events) + n, fact)
        for change in changes
        for n, fact in enumerate(change.events, 1)
    ]
    await run(
        tx,
        """
        INSERT INTO order_events (order_id, version, kind, status, data, at)
        SELECT order_id, version, kind, status, data::jsonb - 'kind', statement_timestamp()
        FROM unnest(%(order_id)b::uuid[], %(version)b::int[], %(kind)b::text[],
                    %(status)b::text[], %(data)b::text[])
          AS e (order_id, version, kind, status, data)
        """,
        {
            "order_id": [order.id for order, _, _ in told],
            "version": [version for _, version, _ in told],
            "kind": [event.kind(fact) for _, _, fact in told],
            "status": [order.status.value for order, _, _ in told],
            "data": [msgspec.json.encode(fact).decode() for _, _, fact in told],
        },
    )


async def page(tx: AsyncConnection, order_id: UUID) -> list[TimelineEntry]:
    """Read the timeline of an order, oldest first."""
    e = tables.order_events.c
    query = (
        select(e.version, e.kind, e.status, e.data, e.at)
        .where(e.order_id == order_id)
        .order_by(e.version)
        .limit(TIMELINE_MAX)
    )
    return [TimelineEntry(*row) for row in await tx.execute(query)]
