"""An order: the decisions that move it."""

from typing import ClassVar
from uuid import UUID

import msgspec

from domain import saga
from domain.event import (
    CancelReason,
    Event,
    OrderBackordered,
    OrderCancelled,
    OrderPlaced,
    OrderShipped,
    StockReserved,
)
from domain.location import Part
from domain.money import Money
from domain.refusal import Refusal
from domain.status import MOVES, Status
from domain.stock import Line, Short
from domain.task import NewTask

# How long an order's stock is held for its payment. A gateway may be away for most of an hour
# before it costs orders, and stock that nobody pays for is not gone for the day.
RESERVE_FOR_S = 3600


class IllegalMove(Refusal):
    """The order's status does not allow what was asked."""

    code: ClassVar[str] = "illegal_move"


class Order(msgspec.Struct, frozen=True):
    """What decisions need of an order; `version` is the number of its last event."""

    id: UUID
    status: Status
    version: int
    total: Money
    traceparent: str | None = None


class Change(msgspec.Struct, frozen=True):
    """An order after a decision, the events that say so and the work that follows."""

    order: Order
    events: tuple[Event, ...]
    tasks: tuple[NewTask, ...] = ()
    cancel_reason: CancelReason | None = None
    parts: tuple[Part, ...] = ()  # where what is held from now on lies


def place(order_id: UUID, lines: tuple[Line, ...], total: Money, traceparent: str | None) -> Change:
    """Accept an order."""
    placed = Order(order_id, Status.PLACED, 0, total, traceparent)
    event = OrderPlaced(lines=len(lines), total_minor=total.minor, currency=total.currency)
    return append(placed, event, *saga.forward(Status.PLACED))


def reserve(order: Order, parts: tuple[Part, ...] = ()) -> Change:
    """Hold stock for an order that was just placed, or waits."""
    reserved = move(order, Status.RESERVED)
    change = append(reserved, StockReserved(), *saga.forward(Status.RESERVED))
    return msgspec.structs.replace(change, parts=parts) if parts else change


def backorder(order: Order, short: tuple[Short, ...]) -> Change:
    """Have an order wait for stock; without what is `short` it lies at too many places."""
    waits = move(order, Status.BACKORDERED)
    return append(waits, OrderBackordered(short, not short), *saga.forward(Status.BACKORDERED))


def ship(order: Order) -> Change:
    """Take note that everything is with a carrier."""
    return append(move(order, Status.SHIPPED), OrderShipped())


def cancel(
    order: Order,
    *,
    reason: CancelReason,
    detail: str | None = None,
    short: tuple[Short, ...] = (),
) -> Change:
    """Stop an order that has not shipped; what was done for it is undone.

    Raises IllegalMove once it has shipped or already ended.
    """
    moved = move(order, Status.CANCELLED)
    event = OrderCancelled(reason, detail, short)
    change = append(moved, event, *saga.compensation(order.status))
    return msgspec.structs.replace(change, cancel_reason=reason)


def move(order: Order, to: Status) -> Order:
    """Give the order in another status; raises IllegalMove unless `MOVES` has that move."""
    if to not in MOVES[order.status]:
        raise IllegalMove(f"An order that is {order.status} cannot become {to}.")
    return msgspec.structs.replace(order, status=to)


def append(order: Order, event: Event, *tasks: NewTask) -> Change:
    """Give the next version of an order: one more event, and the work that follows from it."""
    return Change(msgspec.structs.replace(order, version=order.version + 1), (event,), tasks)
