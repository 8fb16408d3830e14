"""An order: the decisions that move it."""

from typing import ClassVar
from uuid import UUID

import msgspec

from domain import saga
from domain.event import (
    CancelReason,
    Event,
    LatePayment,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    PaymentRefunded,
    PaymentUnknown,
    StockReserved,
)
from domain.money import Money
from domain.refusal import Refusal
from domain.status import MOVES, Status
from domain.stock import Line, Short
from domain.task import NewTask


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


def place(order_id: UUID, lines: tuple[Line, ...], total: Money, traceparent: str | None) -> Change:
    """Accept an order."""
    placed = Order(order_id, Status.PLACED, 0, total, traceparent)
    event = OrderPlaced(lines=len(lines), total_minor=total.minor, currency=total.currency)
    return _append(placed, event, *saga.after_placed())


def reserve(order: Order) -> Change:
    """Hold stock for a placed order."""
    return _append(_move(order, Status.RESERVED), StockReserved(), *saga.after_reserved())


def pay(order: Order, *, attempt_id: UUID, gateway_ref: str) -> Change:
    """Take note of a captured payment.

    An order that was cancelled meanwhile stays so, and the money goes back.
    """
    if order.status is Status.CANCELLED:
        late = LatePayment(attempt_id, gateway_ref, order.total.minor)
        return _append(order, late, *saga.compensation(paid=True))
    event = OrderPaid(attempt_id, gateway_ref, order.total.minor)
    return _append(_move(order, Status.PAID), event, *saga.after_paid())


def doubt(order: Order, *, attempt_id: UUID, reason: str) -> Change:
    """Take note that nobody can say yet whether the order was charged."""
    return _append(order, PaymentUnknown(attempt_id, reason))


def refunded(order: Order, *, attempt_id: UUID, amount: Money) -> Change:
    """Take note of money that went back."""
    return _append(order, PaymentRefunded(attempt_id, amount.minor))


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
    moved = _move(order, Status.CANCELLED)
    undo = saga.compensation(paid=order.status is Status.PAID)
    event = OrderCancelled(reason, detail, short)
    change = _append(moved, event, *undo, *saga.after_cancelled())
    return msgspec.structs.replace(change, cancel_reason=reason)


def _move(order: Order, to: Status) -> Order:
    if to not in MOVES[order.status]:
        raise IllegalMove(f"An order that is {order.status} cannot become {to}.")
    return msgspec.structs.replace(order, status=to)


def _append(order: Order, event: Event, *tasks: NewTask) -> Change:
    return Change(msgspec.structs.replace(order, version=order.version + 1), (event,), tasks)
