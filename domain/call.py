"""Calls: what a gateway is asked for, made of an order's money and one of its attempts."""

from collections.abc import Mapping

from domain.funds import TAKING, Attempt, AttemptKind, Payable
from domain.money import Money
from domain.payment import Call, Capture, Charge, Refund, RefundReason, TakeAuthorized, Void

KIND_OF: Mapping[Capture, AttemptKind] = {
    Capture.AUTOMATIC: AttemptKind.CHARGE,
    Capture.MANUAL: AttemptKind.AUTHORIZE,
}


def call_for(payable: Payable, attempt: Attempt) -> Call:
    """Say what is asked of the gateway for an attempt."""
    amount = Money(attempt.amount_minor, payable.total.currency)
    if attempt.kind in TAKING:
        method = payable.payment_method
        capture = Capture.AUTOMATIC if attempt.kind is AttemptKind.CHARGE else Capture.MANUAL
        return Charge(attempt.id, payable.order_id, amount, method, capture)
    paid = payable.taking()
    ref = (paid and paid.gateway_ref) or ""
    match attempt.kind:
        case AttemptKind.CAPTURE:
            return TakeAuthorized(attempt.id, payable.order_id, amount, ref, attempt.final)
        case AttemptKind.VOID:
            return Void(attempt.id, payable.order_id, amount, ref)
        case _:
            reason = attempt.reason or RefundReason.REQUESTED_BY_CUSTOMER
            return Refund(attempt.id, payable.order_id, amount, ref, reason)
