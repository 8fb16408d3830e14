"""What each decision makes of an order, in each status."""

from collections.abc import Callable
from itertools import product
from uuid import UUID

import pytest

from db.ids import new_id
from domain import order
from domain.event import (
    CancelReason,
    LatePayment,
    OrderCancelled,
    OrderPaid,
    OrderPlaced,
    PaymentRefunded,
    PaymentUnknown,
    StockReserved,
)
from domain.money import Money
from domain.order import Change, IllegalMove, Order
from domain.status import MOVES, Status
from domain.stock import Line, Short
from domain.task import Kind, NewTask, Notice
from tests.builders import an_order

ATTEMPT = new_id()
CONFIRMED = NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_CONFIRMED})
CANCELLED = NewTask(Kind.NOTIFY, {"notice": Notice.ORDER_CANCELLED})


def _pay(was: Order) -> Change:
    return order.pay(was, attempt_id=ATTEMPT, gateway_ref="pi_1")


def _cancel(was: Order) -> Change:
    return order.cancel(was, reason=CancelReason.STAFF)


def _doubt(was: Order) -> Change:
    return order.doubt(was, attempt_id=ATTEMPT, reason="timeout")


def _refunded(was: Order) -> Change:
    return order.refunded(was, attempt_id=ATTEMPT, amount=Money(1000, "GBP"))


MOVING = {order.reserve: Status.RESERVED, _pay: Status.PAID, _cancel: Status.CANCELLED}
STAYING = (_doubt, _refunded)
# Money that comes after the cancellation is a fact, not a move.
NO_MOVE = {(Status.CANCELLED, _pay)}


@pytest.mark.parametrize(
    ("status", "decide"), [pair for pair in product(Status, MOVING) if pair not in NO_MOVE]
)
def test_decision_moves_an_order_exactly_as_moves_allow(
    status: Status, decide: Callable[[Order], Change]
) -> None:
    was, to = an_order(status=status, version=7), MOVING[decide]

    if to in MOVES[status]:
        change = decide(was)
        assert (change.order.status, change.order.version) == (to, 8)
    else:
        with pytest.raises(IllegalMove, match=f"that is {status} cannot become {to}"):
            decide(was)


@pytest.mark.parametrize(("status", "decide"), list(product(Status, STAYING)))
def test_facts_that_move_nothing_are_noted_in_every_status(
    status: Status, decide: Callable[[Order], Change]
) -> None:
    change = decide(an_order(status=status, version=7))

    assert (change.order.status, change.order.version, change.tasks) == (status, 8, ())


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


def test_paid_order_has_its_customer_told() -> None:
    change = _pay(an_order(status=Status.RESERVED, total_minor=1000))

    assert change.events == (OrderPaid(ATTEMPT, "pi_1", 1000),)
    assert change.tasks == (CONFIRMED,)


def test_payment_after_cancellation_goes_back_and_leaves_the_order_cancelled() -> None:
    change = _pay(an_order(status=Status.CANCELLED, version=3, total_minor=1000))

    assert (change.order.status, change.order.version) == (Status.CANCELLED, 4)
    assert change.events == (LatePayment(ATTEMPT, "pi_1", 1000),)
    assert change.tasks == (NewTask(Kind.REFUND),)
    assert change.cancel_reason is None


@pytest.mark.parametrize(
    ("status", "work"),
    [
        (Status.PLACED, (CANCELLED,)),
        (Status.BACKORDERED, (CANCELLED,)),
        (Status.RESERVED, (CANCELLED,)),
        (Status.REVIEW, (CANCELLED,)),
        (Status.PAID, (NewTask(Kind.REFUND), CANCELLED)),
    ],
)
def test_cancelled_order_gives_money_back_only_if_it_was_paid(
    status: Status, work: tuple[NewTask, ...]
) -> None:
    assert _cancel(an_order(status=status)).tasks == work


@pytest.mark.parametrize("reason", CancelReason)
def test_cancelled_order_says_why(reason: CancelReason) -> None:
    short = (Short("APPLE", wanted=2, available=1),)

    change = order.cancel(an_order(), reason=reason, detail="because", short=short)

    assert change.cancel_reason is reason
    assert change.events == (OrderCancelled(reason, "because", short),)


def test_doubt_and_refund_tell_of_their_attempt() -> None:
    paid = an_order(status=Status.PAID)

    assert _doubt(paid).events == (PaymentUnknown(ATTEMPT, "timeout"),)
    assert _refunded(paid).events == (PaymentRefunded(ATTEMPT, 1000),)


def test_decisions_leave_identity_total_and_trace_alone() -> None:
    was = Order(UUID(int=5), Status.RESERVED, 2, Money(77, "EUR"), "00-trace")

    for decide in (_pay, _cancel, _doubt, _refunded):
        now = decide(was).order
        assert (now.id, now.total, now.traceparent) == (was.id, was.total, was.traceparent)
