"""Inventory: stock is held for orders, all or nothing for each, or promised to them."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from db import backorders, orders, reservations
from domain import order
from domain.event import CancelReason
from domain.location import Preference
from domain.order import Change, Order
from domain.status import Status
from domain.stock import NOWHERE, Allocation, allocate, totals
from domain.task import Kind, Task

SCATTERED = "there is enough, but not at one location, and the order must not be split"


async def reserve(
    tx: AsyncConnection, group: Sequence[Task], *, preference: Preference = Preference.PRIORITY
) -> None:
    """Reserve for a group of orders, those that wait first, then first come first served.

    Locks the orders, then their stock in the order of the SKU. Who lacks stock that may be waited
    for waits; others that lack some end.
    """
    fills = [task for task in group if task.kind is Kind.FILL_BACKORDERS]
    in_line = await backorders.next_in_line(tx, fills)
    # In the order of the tasks, which is the order in which they were due.
    new = [task.order_id for task in group if task.kind is Kind.RESERVE and task.order_id]
    before = await orders.lock(tx, [*in_line, *new])
    waiting = [id_ for id_ in in_line if before[id_].status is Status.BACKORDERED]
    placed = [id_ for id_ in new if before[id_].status is Status.PLACED]
    if not waiting and not placed:
        return
    wanted = await reservations.wanted(tx, [*waiting, *placed])
    supplies = await reservations.lock(tx, list(totals(wanted)))
    older = await backorders.claimed_before(tx, wanted[: len(waiting)])
    located = [sku for sku, supply in supplies.items() if supply.located]
    ids = [*waiting, *placed]
    places = await reservations.places(tx, located, ids, preference) if located else NOWHERE
    decided = allocate([*older, *wanted[len(waiting) :]], supplies, places)
    changes = [_decide(before[one.wanted.order_id], one) for one in decided]
    await orders.change_many(tx, before, [change for change in changes if change is not None])


def _decide(was: Order, allocation: Allocation) -> Change | None:
    if allocation.is_given:
        return order.reserve(was, allocation.parts)
    if allocation.waits:
        waits_already = was.status is Status.BACKORDERED
        return None if waits_already else order.backorder(was, allocation.short)
    detail = SCATTERED if allocation.scattered else None
    return order.cancel(
        was, reason=CancelReason.OUT_OF_STOCK, detail=detail, short=allocation.short
    )
