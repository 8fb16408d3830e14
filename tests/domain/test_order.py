"""What each decision makes of an order, in each status."""

from collections.abc import Callable
from itertools import product
from uuid import UUID

import pytest

from db.ids import new_id
from domain import order
from domain.event import CancelReason, OrderCancelled, OrderPlaced, OrderShipped, StockReserved
from domain.money import Money
from domain.order import Change, IllegalMove, Order
from domain.saga import compensation
from domain.status import MOVES, Status
from domain.stock import Line, Short
from domain.task import Kind, NewTask
from tests.builders import an_order


def _cancel(was: Order) -> Change:
    return order.cancel(was, reason=CancelReason.STAFF)


MOVING = {
    order.reserve: Status.RESERVED,
    order.ship: Status.SHIPPED,
    _cancel: Status.CANCELLED,
}


@pytest.mark.parametrize(("status", "decide"), list(product(Status, MOVING)))
def test_decision_moves_an_order_exactly_as_moves_allow(
    status: Status, decide: Callable[[Order], Change]
) -> None:
    was, to = an_order(status=status, version=7), MOVING[decide]

    if to in MOVES[status]:
        change = decide(was)
        assert (change.order.status, change.order.version) == (to, 8)
        assert len(change.events) == 1
    else:
        with pytest.raises(IllegalMove, match=f"that is {status} cannot become {to}"):
            decide(was)


def test_placed_order_begins_with_version_one_and_wants_stock() -> None:
    order_id, lines = new_id(), (Line("APPLE", 2, 300), Line("PEAR", 1, 400))

    change = order.place(order_id, lines, Money(1000, "GBP"), "00-trace")

    assert change.order == Order(order_id, Status.PLACED, 1, Money(1000, "GBP"), "00-trace")
    assert change.events == (OrderPlaced(lines=2, total_minor=1000, currency="GBP"),)
    assert change.tasks == (NewTask(Kind.RESERVE),)


def test_reserved_order_wants_its_money() -> None:
    change = order.reserve(an_order())

    assert change.events == (StockReserved(),)
    assert change.tasks == (NewTask(Kind.CHARGE),)


def test_shipped_order_wants_nothing_more() -> None:
    change = order.ship(an_order(status=Status.PAID))

    assert (change.events, change.tasks) == ((OrderShipped(),), ())


@pytest.mark.parametrize("status", [s for s, ways in MOVES.items() if Status.CANCELLED in ways])
@pytest.mark.parametrize("reason", CancelReason)
def test_whoever_cancels_an_order_the_same_is_undone(status: Status, reason: CancelReason) -> None:
    change = order.cancel(an_order(status=status), reason=reason)

    assert change.tasks == compensation(status)
    assert change.cancel_reason is reason


def test_cancelled_order_says_why() -> None:
    short = (Short("APPLE", wanted=2, available=1),)
    reason = CancelReason.OUT_OF_STOCK

    change = order.cancel(an_order(), reason=reason, detail="because", short=short)

    assert change.events == (OrderCancelled(reason, "because", short),)


def test_appended_event_is_a_version_and_no_move() -> None:
    was, work = an_order(status=Status.SHIPPED, version=7), NewTask(Kind.VOID)

    change = order.append(was, StockReserved(), work)

    assert (change.order.status, change.order.version) == (Status.SHIPPED, 8)
    assert (change.events, change.tasks, change.cancel_reason) == (
        (StockReserved(),),
        (work,),
        None,
    )


def test_decisions_leave_identity_total_and_trace_alone() -> None:
    def was(status: Status) -> Order:
        return Order(UUID(int=5), status, 2, Money(77, "EUR"), "00-trace")

    for decide, status in ((order.reserve, Status.PLACED), (_cancel, Status.PAID)):
        now = decide(was(status)).order
        assert (now.id, now.total, now.traceparent) == (UUID(int=5), Money(77, "EUR"), "00-trace")
