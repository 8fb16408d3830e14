"""Inventory: stock is held for placed orders, all or nothing for each."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from db import orders, stock
from domain import order
from domain.event import CancelReason
from domain.order import Change, Order
from domain.status import Status
from domain.stock import Allocation, allocate, totals
from domain.task import Task


async def reserve(tx: AsyncConnection, group: Sequence[Task]) -> None:
    """Reserve for a group of orders, first come first served; those that lack stock end.

    Locks the orders, then their stock in the order of the SKU.
    """
    before = await orders.lock(tx, [task.order_id for task in group if task.order_id])
    # In the order of the tasks, which is the order in which they were due.
    waiting = [
        task.order_id
        for task in group
        if task.order_id and before[task.order_id].status is Status.PLACED
    ]
    if not waiting:
        return
    wanted = await stock.wanted(tx, waiting)
    available = await stock.lock(tx, list(totals(wanted)))
    decided = allocate(wanted, available)
    changes = [_decide(before[a.wanted.order_id], a) for a in decided]
    await orders.change_many(tx, before, changes)


def _decide(was: Order, allocation: Allocation) -> Change:
    if not allocation.short:
        return order.reserve(was)
    return order.cancel(was, reason=CancelReason.OUT_OF_STOCK, short=allocation.short)
