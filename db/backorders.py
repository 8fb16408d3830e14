"""Backorders: who waits for stock, who is next, and when it is to be there.

What an order is promised stands here for as long as it waits; ids of orders are in the order of
their time, so that the smallest waits longest.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tasks
from db.engine import fetch
from domain.backorder import Due, Wait, Waiting, expected
from domain.stock import Short, Wanted
from domain.task import Kind, NewTask, Task

NIL = UUID(int=0)

# Orders that are filled in one transaction, as many as are reserved in one.
FILL_BATCH_MAX = 200
# Deliveries of one SKU that are looked at for a date.
DELIVERIES_MAX = 50


class _Ahead(msgspec.Struct):
    order_id: UUID
    sku: str
    quantity: int


async def next_in_line(
    tx: AsyncConnection, fills: Sequence[Task], *, limit: int = FILL_BATCH_MAX
) -> list[UUID]:
    """Find the orders that may get what they wait for, oldest first; nothing is locked.

    What the tasks name is looked at, from where they say. If there may be more of them, a task is
    written that goes on behind these.
    """
    after = dict[str, UUID]()
    for task in fills:
        sku, behind = task.payload["sku"], UUID(task.payload.get("after", str(NIL)))
        after[sku] = min(after.get(sku, behind), behind)
    if not after:
        return []
    found = await fetch(
        tx,
        UUID,
        """
        SELECT DISTINCT order_id::text FROM (
            SELECT order_id, behind, on_hand - reserved AS available,
                   sum(quantity) OVER (PARTITION BY sku ORDER BY order_id) AS claimed
            FROM unnest(%(sku)b::text[], %(behind)b::uuid[]) AS f (sku, behind)
            JOIN stock USING (sku) JOIN backorders USING (sku)
        ) AS line WHERE claimed <= available AND order_id > behind
        ORDER BY 1 LIMIT %(limit)s
        """,
        {"sku": list(after), "behind": list(after.values()), "limit": limit},
    )
    if len(found) == limit:
        for sku, behind in after.items():
            later = {"sku": sku, "after": str(max(behind, found[-1]))}
            await tasks.schedule(tx, NewTask(Kind.FILL_BACKORDERS, later))
    return found


async def claimed_before(tx: AsyncConnection, waiting: Sequence[Wanted]) -> list[Wanted]:
    """Say of orders that wait what older ones wait for; the stock of their SKUs is locked."""
    if not waiting:
        return []
    rows = await fetch(
        tx,
        _Ahead,
        """
        SELECT order_id, sku, claimed FROM (
            SELECT order_id, sku,
                   sum(quantity) OVER (PARTITION BY sku ORDER BY order_id) - quantity AS claimed
            FROM backorders WHERE sku = ANY (%(skus)b::text[]) AND order_id <= %(last)s
        ) AS line WHERE order_id = ANY (%(ids)b::uuid[])
        """,
        {
            "skus": sorted({sku for one in waiting for sku in one.quantities}),
            "ids": [one.order_id for one in waiting],
            "last": max(one.order_id for one in waiting),
        },
    )
    ahead: dict[UUID, dict[str, int]] = {one.order_id: {} for one in waiting}
    for row in rows:
        ahead[row.order_id][row.sku] = row.quantity
    return [msgspec.structs.replace(one, ahead=ahead[one.order_id]) for one in waiting]


class _Line(msgspec.Struct):
    order_id: UUID
    sku: str
    quantity: int
    claimed: int
    available: int
    available_from: date | None


class _Delivery(msgspec.Struct):
    sku: str
    quantity: int
    expected_on: date | None


async def expected_on(tx: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, date]:
    """Say when orders that wait may expect all of it; those of which nobody knows are left out."""
    lines = await _lines(tx, ids)
    coming = await _coming(tx, [line.sku for line in lines])
    waits: dict[UUID, list[Wait]] = {}
    for line in lines:
        missing = line.claimed - line.available
        wait = Wait(missing, coming.get(line.sku, []), line.available_from)
        waits.setdefault(line.order_id, []).append(wait)
    days = {order_id: expected(each) for order_id, each in waits.items()}
    return {order_id: day for order_id, day in days.items() if day is not None}


async def waiting(tx: AsyncConnection, order_id: UUID, *, limit: int) -> Waiting:
    """Say what an order waits for, `limit` of its SKUs at most."""
    lines = [line for line in await _lines(tx, [order_id]) if line.claimed > line.available]
    left = [max(0, line.available - (line.claimed - line.quantity)) for line in lines]
    short = [Short(line.sku, line.quantity, n) for line, n in zip(lines, left, strict=True)]
    [at_places] = await fetch(
        tx,
        bool,
        """
        SELECT NOT allow_split AND EXISTS (SELECT FROM order_lines JOIN stock USING (sku)
                                           WHERE order_id = o.id AND located)
        FROM orders o WHERE id = %(id)s
        """,
        {"id": order_id},
    )
    days = await expected_on(tx, [order_id])
    return Waiting(
        tuple(short)[:limit],
        scattered=at_places and not short,
        expected_on=days.get(order_id),
    )


async def _lines(tx: AsyncConnection, ids: Sequence[UUID]) -> list[_Line]:
    """Read what orders wait for, and how much of it they and older ones claim."""
    if not ids:
        return []
    return await fetch(
        tx,
        _Line,
        """
        SELECT order_id, sku, quantity, claimed, on_hand - reserved, available_from FROM (
            SELECT order_id, sku, quantity,
                   sum(quantity) OVER (PARTITION BY sku ORDER BY order_id) AS claimed
            FROM backorders WHERE order_id <= %(last)s AND sku IN (
                SELECT sku FROM order_lines WHERE order_id = ANY (%(ids)b::uuid[]))
        ) AS line JOIN stock USING (sku)
        WHERE order_id = ANY (%(ids)b::uuid[]) ORDER BY order_id, sku
        """,
        {"ids": list(ids), "last": max(ids)},
    )


async def _coming(tx: AsyncConnection, skus: Sequence[str]) -> dict[str, list[Due]]:
    if not skus:
        return {}
    rows = await fetch(
        tx,
        _Delivery,
        """
        SELECT sku, open, expected_on FROM unnest(%(skus)b::text[]) AS s (sku)
        CROSS JOIN LATERAL (
            SELECT quantity - received AS open, expected_on FROM incoming i
            WHERE i.sku = s.sku AND cancelled_at IS NULL AND received < quantity
            ORDER BY expected_on, id LIMIT %(limit)s
        ) AS i
        """,
        {"skus": sorted(set(skus)), "limit": DELIVERIES_MAX},
    )
    found: dict[str, list[Due]] = {}
    for row in rows:
        found.setdefault(row.sku, []).append(Due(row.quantity, row.expected_on))
    return found
