"""The timeline: one row per version of an order, appended with the change it tells of."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tables
from db.engine import acting, run
from domain import event
from domain.actor import Actor
from domain.order import Change

TIMELINE_MAX = 1000


class TimelineEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event; `actor` is who caused it, if it was no worker and somebody wrote it down."""

    version: int
    kind: str
    status: str
    data: dict[str, Any]
    at: datetime
    actor: Actor | None = None


NOBODY: Mapping[UUID, Actor] = {}


async def append(
    tx: AsyncConnection, changes: Sequence[Change], actors: Mapping[UUID, Actor] = NOBODY
) -> None:
    """Append the events of changes; the caller holds the row locks of their orders.

    They are caused by whom the transaction acts for, or by the one of `actors` of their order.

    Their time is that of the statement: that of the transaction may lie before the wait for the
    lock, and so before the event that stands in front of them.
    """
    told = [
        (change.order, change.order.version - len(change.events) + n, fact)
        for change in changes
        for n, fact in enumerate(change.events, 1)
    ]
    by = acting(tx)
    named = {id_: msgspec.json.encode(actor).decode() for id_, actor in actors.items()}
    await run(
        tx,
        """
        INSERT INTO order_events (order_id, version, kind, status, data, at, actor)
        SELECT order_id, version, kind, status, data::jsonb - 'kind', statement_timestamp(),
               actor::jsonb
        FROM unnest(%(order_id)b::uuid[], %(version)b::int[], %(kind)b::text[],
                    %(status)b::text[], %(data)b::text[], %(actor)b::text[])
          AS e (order_id, version, kind, status, data, actor)
        """,
        {
            "order_id": [order.id for order, _, _ in told],
            "version": [version for _, version, _ in told],
            "kind": [event.kind(fact) for _, _, fact in told],
            "status": [order.status.value for order, _, _ in told],
            "data": [msgspec.json.encode(fact).decode() for _, _, fact in told],
            "actor": [named.get(order.id, by) for order, _, _ in told],
        },
    )


async def page(tx: AsyncConnection, order_id: UUID) -> list[TimelineEntry]:
    """Read the timeline of an order, oldest first."""
    e = tables.order_events.c
    query = (
        select(e.version, e.kind, e.status, e.data, e.at, e.actor)
        .where(e.order_id == order_id)
        .order_by(e.version)
        .limit(TIMELINE_MAX)
    )
    return [
        TimelineEntry(version, kind, status, data, at, _actor(actor))
        for version, kind, status, data, at, actor in await tx.execute(query)
    ]


def _actor(written: dict[str, Any] | None) -> Actor | None:
    return None if written is None else msgspec.convert(written, Actor)
