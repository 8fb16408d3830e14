"""What the gateway decides: from a request and how things stand, the next line of the ledger."""

import heapq
import secrets

import msgspec

from ops.sandbox import cards, entries, standing
from ops.sandbox.books import Books
from ops.sandbox.entries import Entry, Refusal
from ops.sandbox.requests import (
    CaptureRequest,
    ChargeRequest,
    DisputeRequest,
    RefundRequest,
    Request,
    VoidRequest,
)
from ops.sandbox.standing import Payment

# 1.5 % and 20 of the smallest unit, for each capture.
_FEE_PER_MILLE = 15
_FEE_FIXED = 20
_UNEXPECTED = "payment_intent_unexpected_state"


class _Stop(Exception):
    """The gateway executes a request by refusing it."""

    def __init__(
        self, code: str | None, message: str, payment: Payment, *, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.payment, self.param = code, message, payment, param


def fee(amount: int) -> int:
    """Return what the gateway keeps of a capture, rounded half up."""
    return (amount * _FEE_PER_MILLE + 500) // 1000 + _FEE_FIXED


def decide(books: Books, asked: Request, *, key: str, fingerprint: str, at: int) -> Entry:
    """Decide a request. Raises Rejected if what it is about does not exist."""
    try:
        entry = _decided(books, asked, at)
    except _Stop as stop:
        entry = Refusal(
            id=_id("err"),
            at=at,
            code=stop.code,
            message=stop.message,
            param=stop.param,
            payment_intent=stop.payment.id,
        )
    return msgspec.structs.replace(entry, key=key, fingerprint=fingerprint)


def failure(*, key: str, fingerprint: str, at: int) -> Refusal:
    """Decide that a request breaks while it is executed, which its key then keeps."""
    message = "An unknown error occurred."
    return Refusal(
        id=_id("err"), at=at, key=key, fingerprint=fingerprint, message=message, status=500
    )


def authenticate(books: Books, payment_intent: str, *, passed: bool, at: int) -> Entry:
    """Decide what a customer's answer to 3-D Secure comes to."""
    payment = books.payments.get(payment_intent)
    if payment.status != standing.REQUIRES_ACTION:
        message = f"This PaymentIntent's status is {payment.status}: nothing to authenticate."
        return Refusal(
            id=_id("err"), at=at, code=_UNEXPECTED, message=message, payment_intent=payment.id
        )
    asked = payment.made
    if not passed:
        return entries.Authentication(
            id=_id("auth"),
            at=at,
            payment_intent=payment.id,
            status=standing.REQUIRES_PAYMENT_METHOD,
            decline=cards.AUTHENTICATION_FAILED,
        )
    return entries.Authentication(
        id=_id("auth"),
        at=at,
        payment_intent=payment.id,
        status=standing.REQUIRES_CAPTURE if asked.manual else standing.SUCCEEDED,
        fee=0 if asked.manual else fee(asked.amount),
        capture_before=_capture_before(asked.payment_method, at) if asked.manual else 0,
    )


def next_due(books: Books, at: int) -> Entry | None:
    """Decide the next thing that happens by itself; None if there is none yet."""
    while books.agenda and books.agenda[0][0] <= at:
        _, name = heapq.heappop(books.agenda)
        if name.startswith("re_"):
            refund = books.refunds.get(name)
            fate = cards.refund_fate(
                books.payments.get(refund.made.payment_intent).made.payment_method
            )
            if fate is not None and refund.status == fate.first:
                return entries.RefundMoved(id=_id("rem"), at=at, refund=name, status=fate.then)
            continue
        payment = books.payments.get(name)
        if payment.capturable and payment.capture_before <= at:
            return entries.Void(id=_id("void"), at=at, payment_intent=name, reason="automatic")
        wanted = payment.made.payment_method == cards.DISPUTED
        if wanted and payment.captured and not payment.disputed:
            return _disputed(payment, payment.captured, at)
    return None


def _decided(books: Books, asked: Request, at: int) -> Entry:
    match asked:
        case ChargeRequest():
            return _charge(asked, at)
        case CaptureRequest():
            return _capture(books.payments.get(asked.payment_intent), asked, at)
        case VoidRequest():
            return _void(books.payments.get(asked.payment_intent), asked, at)
        case RefundRequest():
            return _refund(books.payments.get(asked.payment_intent), asked, at)
        case DisputeRequest():
            payment = books.payments.get(asked.payment_intent)
            if asked.amount is not None and asked.amount > payment.captured:
                raise _Stop(None, "Only what was captured is disputed.", payment, param="amount")
            return _disputed(payment, asked.amount or payment.captured, at)


def _charge(asked: ChargeRequest, at: int) -> Entry:
    status = standing.REQUIRES_CAPTURE if asked.manual else standing.SUCCEEDED
    decline = cards.DECLINES.get(asked.payment_method)
    if asked.payment_method in cards.NEED_AUTHENTICATION:
        status = standing.REQUIRES_ACTION
        decline = cards.NEEDS_AUTHENTICATION if asked.error_on_requires_action else None
    if decline:
        status = standing.REQUIRES_PAYMENT_METHOD
    held = status == standing.REQUIRES_CAPTURE
    return entries.PaymentIntent(
        id=_id("pi"),
        at=at,
        amount=asked.amount,
        currency=asked.currency,
        payment_method=asked.payment_method,
        status=status,
        decline=decline,
        metadata=asked.metadata,
        fee=fee(asked.amount) if status == standing.SUCCEEDED else 0,
        manual=asked.manual,
        multicapture=asked.multicapture,
        capture_before=_capture_before(asked.payment_method, at) if held else 0,
    )


def _capture(payment: Payment, asked: CaptureRequest, at: int) -> Entry:
    left = payment.capturable
    amount = left if asked.amount is None else asked.amount
    if payment.status != standing.REQUIRES_CAPTURE:
        raise _Stop(_UNEXPECTED, _in_state("captured", payment, "requires_capture"), payment)
    if amount > left:
        message = f"The provided capture amount of {amount} is more than what is left: {left}."
        raise _Stop("amount_too_large", message, payment, param="amount_to_capture")
    if not asked.final and not payment.made.multicapture:
        message = "Multicapture was not requested for this PaymentIntent: see request_multicapture."
        raise _Stop(None, message, payment, param="final_capture")
    if amount == 0 and not (asked.final and payment.captured):
        message = "Only a final capture after others may be of nothing."
        raise _Stop("amount_too_small", message, payment, param="amount_to_capture")
    return entries.Capture(
        id=_id("cap"),
        at=at,
        payment_intent=payment.id,
        amount=amount,
        fee=fee(amount) if amount else 0,
        final=asked.final,
        metadata=asked.metadata,
    )


def _void(payment: Payment, asked: VoidRequest, at: int) -> Entry:
    if payment.status in {standing.SUCCEEDED, standing.CANCELED}:
        cancelable = "requires_payment_method, requires_capture, requires_action"
        raise _Stop(_UNEXPECTED, _in_state("canceled", payment, cancelable), payment)
    return entries.Void(id=_id("void"), at=at, payment_intent=payment.id, reason=asked.reason)


def _refund(payment: Payment, asked: RefundRequest, at: int) -> Entry:
    """Never refund more than what was captured and not yet given back."""
    left = payment.refundable
    amount = left if asked.amount is None else asked.amount
    if payment.captured == 0:
        message = f"This PaymentIntent ({payment.id}) does not have a successful charge to refund."
        raise _Stop(_UNEXPECTED, message, payment)
    if payment.disputed:
        message = f"Charge {payment.charge} has been charged back; cannot issue a refund."
        raise _Stop("charge_disputed", message, payment)
    if left == 0:
        message = f"Charge {payment.charge} has already been refunded."
        raise _Stop("charge_already_refunded", message, payment)
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})."
        raise _Stop(None, message, payment, param="amount")
    fate = cards.refund_fate(payment.made.payment_method)
    return entries.Refund(
        id=_id("re"),
        at=at,
        payment_intent=payment.id,
        amount=amount,
        currency=payment.made.currency,
        metadata=asked.metadata,
        reason=asked.reason,
        status=fate.first if fate else "succeeded",
    )


def _disputed(payment: Payment, amount: int, at: int) -> Entry:
    if payment.captured == 0 or payment.disputed:
        raise _Stop(_UNEXPECTED, "Only an undisputed, captured charge is disputed.", payment)
    return entries.Dispute(
        id=_id("dp"),
        at=at,
        payment_intent=payment.id,
        amount=amount,
        currency=payment.made.currency,
    )


def _in_state(moved: str, payment: Payment, may: str) -> str:
    return (
        f"This PaymentIntent could not be {moved} because it has a status of {payment.status}."
        f" Only a PaymentIntent with one of the following statuses may be {moved}: {may}."
    )


def _capture_before(payment_method: str, at: int) -> int:
    # Times are cut to the second; one more, so that no hold is shorter than it says.
    return at + cards.hold_s(payment_method) + 1


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
