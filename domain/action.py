"""Actions: what an order's state allows to be done with it now, whoever asks."""

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from uuid import UUID

import msgspec

from domain import funds, order, settlement, write_off
from domain.attempt import Window
from domain.event import CancelReason
from domain.funds import AttemptKind, Payable, PaymentOpen
from domain.order import IllegalMove, Order
from domain.payment import RefundReason
from domain.refusal import Refusal
from domain.write_off import Means, WriteOff


class Action(StrEnum):
    SELF = "self"
    EVENTS = "events"
    EXPLAIN = "explain"
    PAYMENTS = "payments"
    CANCEL = "cancel"
    CAPTURE = "capture"
    VOID = "void"
    REFUNDS = "refunds"
    PAYMENT_METHOD = "payment-method"
    RESOLVE = "resolve"
    WRITE_OFF = "write-off"
    CLAIM = "claim"


# Reading is never refused because of an order's state.
READING = frozenset({Action.SELF, Action.EVENTS, Action.EXPLAIN, Action.PAYMENTS})

# Any id does for an attempt that is only thought of.
_NO_ID = UUID(int=0)
# The least there is: where one minor unit is refused, any amount is.
_LEAST_MINOR = 1


class Work(msgspec.Struct, frozen=True):
    """What is to be done, or being done, for an order, as far as it forbids something else."""

    owned: bool = False  # an account has the order
    charging: bool = False  # a charge is to be made
    asking: bool = False  # a worker may be talking to a gateway
    returning: bool = False  # its money may be on the way back


def actions(
    payable: Payable, work: Work, window: Window, *, refund_max_minor: int | None = None
) -> frozenset[Action]:
    """Give what would be accepted now, by asking the very decisions that accept it.

    `refund_max_minor` is what the asker may give back of an order altogether; None is any sum.
    """
    was = Order(payable.order_id, payable.status, 0, payable.total)
    decisions: dict[Action, Callable[[], object]] = {
        Action.CANCEL: partial(_cancel, was, payable, refund_max_minor),
        Action.CAPTURE: partial(_capture, was, payable),
        Action.VOID: partial(_void, was, payable),
        Action.REFUNDS: partial(_refund, was, payable, refund_max_minor),
        Action.PAYMENT_METHOD: partial(
            settlement.change_method, was, payable, charging=work.charging, now=window.now
        ),
        Action.RESOLVE: partial(_resolve, payable, work, window),
        Action.WRITE_OFF: partial(_write_off, was, payable, work),
        Action.CLAIM: partial(_claim, work),
    }
    return READING | {action for action, decide in decisions.items() if _accepts(decide)}


def _accepts(decide: Callable[[], object]) -> bool:
    try:
        decide()
    except Refusal:
        return False
    return True


def _cancel(was: Order, payable: Payable, max_minor: int | None) -> None:
    order.cancel(was, reason=CancelReason.STAFF)
    if max_minor is not None:
        funds.refuse_ending_above(payable, limit_minor=max_minor)


def _capture(was: Order, payable: Payable) -> None:
    settlement.refuse_unpaid(was, AttemptKind.CAPTURE)
    funds.ask_capture(payable, _NO_ID, amount_minor=_LEAST_MINOR, final=False)


def _void(was: Order, payable: Payable) -> None:
    settlement.refuse_unpaid(was, AttemptKind.VOID)
    funds.ask_void(payable, _NO_ID)


def _refund(was: Order, payable: Payable, max_minor: int | None) -> None:
    settlement.refuse_unpaid(was, AttemptKind.REFUND)
    reason = RefundReason.REQUESTED_BY_CUSTOMER
    asked = funds.ask_refund(payable, _NO_ID, amount_minor=_LEAST_MINOR, reason=reason)
    if max_minor is not None:
        funds.refuse_above(payable, asked, limit_minor=max_minor)


def _resolve(payable: Payable, work: Work, window: Window) -> None:
    settlement.unresolved(payable, window)
    if work.asking:
        raise PaymentOpen("The gateway is being asked just now.")


def _write_off(was: Order, payable: Payable, work: Work) -> None:
    said = WriteOff(_LEAST_MINOR, Means.BANK_TRANSFER, "", "staff")
    write_off.write_off(was, payable, _NO_ID, said, returning=work.returning)


def _claim(work: Work) -> None:
    if work.owned:
        raise IllegalMove("An account has this order.")
