"""Situations: what decides on the actions that orders allow now, read without a lock."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import payables
from db.engine import fetch
from domain.action import Work
from domain.funds import Payable
from domain.task import LOOK_AGAIN


class Situation(msgspec.Struct, frozen=True):
    """An order's money and its work; `now` is the time of the database."""

    payable: Payable
    work: Work
    now: datetime


class _WorkRow(msgspec.Struct):
    order_id: UUID
    owned: bool
    charging: bool
    asking: bool
    returning: bool


async def find_many(tx: AsyncConnection, order_ids: Sequence[UUID]) -> Mapping[UUID, Situation]:
    """Read the situations of orders; one that does not exist has none."""
    if not order_ids:
        return {}
    work = await _work(tx, order_ids)
    now, found = await payables.find_many(tx, order_ids)
    return {id_: Situation(found[id_], work[id_], now) for id_ in found.keys() & work.keys()}


async def _work(tx: AsyncConnection, order_ids: Sequence[UUID]) -> Mapping[UUID, Work]:
    rows = await fetch(
        tx,
        _WorkRow,
        """
        SELECT o.id, o.user_id IS NOT NULL,
               coalesce(bool_or(t.kind = 'charge'), false),
               coalesce(bool_or(t.queue = 'payments' AND t.state = 'running'), false),
               coalesce(bool_or(t.kind IN ('undo_payment', 'void', 'refund', 'capture')
                                AND NOT t.payload ? %(again)s), false)
        FROM orders o LEFT JOIN tasks t ON t.order_id = o.id AND t.state IN ('ready', 'running')
        WHERE o.id = ANY (%(ids)b::uuid[]) GROUP BY o.id
        """,
        {"ids": list(order_ids), "again": LOOK_AGAIN},
    )
    return {row.order_id: Work(row.owned, row.charging, row.asking, row.returning) for row in rows}
