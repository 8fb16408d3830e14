"""What Stripe's objects mean for a payment attempt.

Succeeded       id, status, amount, currency and attempt are what was asked for
ActionRequired  the customer has to authenticate
Declined        the issuer's no, a cancelled payment, a refund that failed
None            the payment shows that a capture was not made or nothing was released
Unknown         everything else, above all what is not about this attempt
"""

from datetime import UTC, datetime
from uuid import UUID

from domain.payment import (
    REFUND_FAILED,
    ActionRequired,
    Booked,
    Call,
    Capture,
    Charge,
    Declined,
    Outcome,
    Refund,
    Succeeded,
    TakeAuthorized,
    Unknown,
    Void,
)
from workers.gateways import stripe_requests as requests
from workers.gateways.stripe_objects import (
    BalanceTransaction,
    Event,
    Events,
    LatestCharge,
    PaymentIntent,
    RefundMade,
    Subject,
    counted,
    minor,
    payment_decoder,
    refund_decoder,
)

# The events of what changes the sums of a payment.
_CHANGES = ("payment_intent.", "charge.refund", "refund.")


def executed(call: Call, body: str) -> Outcome:
    """Judge the 2xx answer to a call."""
    match call:
        case Charge():
            return charged(call, payment_decoder.decode(body))
        case Refund():
            return refunded(call, refund_decoder.decode(body))
        case TakeAuthorized() | Void():
            return _agreed(call, payment_decoder.decode(body))


def _agreed(call: TakeAuthorized | Void, payment: PaymentIntent) -> Outcome:
    """Judge the 2xx answer to a capture or a void; the sum has to be right, too."""
    if payment.amount_received != _marked(payment):
        return Unknown(f"{payment.id} has {payment.amount_received} received: not what was asked.")
    outcome = shown(call, payment)
    return outcome or Unknown("The gateway agreed, yet its payment does not show it.")


def charged(charge: Charge, payment: PaymentIntent) -> Outcome:
    """Judge the payment of a charge."""
    if payment.metadata.get("attempt_id") != str(charge.attempt_id):
        return Unknown(f"The gateway answered with {payment.id}, which is of another attempt.")
    asked = (counted(charge.amount), charge.amount.currency.lower())
    if (payment.amount, payment.currency) != asked:
        return Unknown(
            f"{payment.id} is of {payment.amount} {payment.currency}: not what was asked."
        )
    return _taken(charge, payment) or _not_taken(payment)


def _taken(charge: Charge, payment: PaymentIntent) -> Outcome | None:
    manual = charge.capture is Capture.MANUAL
    match payment.status:
        case "succeeded" if not manual and payment.amount_received == payment.amount:
            return Succeeded(payment.id, fee_minor=_fee(charge, payment))
        case "requires_capture" if manual and payment.amount_capturable == payment.amount:
            return Succeeded(payment.id, expires_at=_expiry(payment))
        case "requires_action" if payment.client_secret:
            return ActionRequired(payment.id, payment.client_secret)
        case _:
            return None


def _not_taken(payment: PaymentIntent) -> Outcome:
    match payment.status:
        case "canceled":
            return Declined("canceled")
        case "requires_payment_method" if payment.last_payment_error is not None:
            return Declined(payment.last_payment_error.reason())
        case status:
            why = (
                f"{payment.id} is {status}: of {payment.amount}, {payment.amount_received}"
                f" received and {payment.amount_capturable} held."
            )
            return Unknown(why, pending=status == "processing")


def ended(charge: Charge, payment: PaymentIntent, code: str) -> Outcome:
    """Judge a payment that was to be cancelled: Declined, under this code, once it is."""
    outcome = charged(charge, payment)
    if not isinstance(outcome, Declined):
        return outcome
    if payment.status != "canceled":
        return Unknown(f"{payment.id} is {payment.status} and could not be ended.")
    return Declined(code)


def shown(call: TakeAuthorized | Void, payment: PaymentIntent) -> Outcome | None:
    """Judge what an authorized payment shows of a capture or a void; None: it was not done.

    Others may have captured from it, too.
    """
    asked = (call.gateway_ref, str(call.order_id), call.amount.currency.lower())
    if (payment.id, payment.metadata.get("order_id"), payment.currency) != asked:
        return Unknown(f"The gateway answered with {payment.id}, which is not what was asked.")
    if isinstance(call, TakeAuthorized):
        return _captured(call, payment)
    return _voided(payment)


def _captured(capture: TakeAuthorized, payment: PaymentIntent) -> Outcome | None:
    """Judge a capture; with it, all that have left a mark must have been received."""
    marked = payment.metadata.get(requests.mark(capture))
    if marked is None:
        return None
    if marked != str(counted(capture.amount)):
        return Unknown(f"{payment.id} has this capture with {marked}: not what was asked.")
    if payment.amount_received < _marked(payment):
        return Unknown(f"{payment.id} has the capture, but {payment.amount_received} received.")
    return Succeeded(payment.id, fee_minor=_fee(capture, payment))


def _voided(payment: PaymentIntent) -> Outcome | None:
    if payment.status not in {"canceled", "succeeded"} or payment.amount_capturable:
        return None
    if payment.amount_received > _marked(payment):
        # Somebody else, e.g. in Stripe's dashboard, took what we wanted to release.
        return Declined("already_captured")
    return Succeeded(payment.id)


def _marked(payment: PaymentIntent) -> int:
    """Sum up the captures that have left a mark."""
    values = [v for key, v in payment.metadata.items() if key.startswith(requests.MARK)]
    return sum(int(value) for value in values if value.isdecimal())


def refunded(refund: Refund, made: RefundMade) -> Outcome:
    """Judge a refund. A pending one counts: any may still fail at the bank, days later."""
    asked = (refund.gateway_ref, counted(refund.amount), refund.amount.currency.lower())
    told = (made.payment_intent, made.amount, made.currency)
    if told != asked or made.metadata.get("attempt_id") != str(refund.attempt_id):
        return Unknown(f"The gateway answered with {made.id}, which is not what was asked.")
    match made.status:
        case "succeeded" | "pending":
            return Succeeded(made.id)
        case "failed" | "canceled":
            return Declined(f"{REFUND_FAILED}:{made.failure_reason or made.status}")
        case status:
            return Unknown(f"{made.id} is {status}.")


def booked(payment: PaymentIntent) -> Booked:
    """Read a payment of the gateway's books; it may be somebody else's."""
    charge = payment.latest_charge
    returned = charge.amount_refunded if isinstance(charge, LatestCharge) else 0
    return Booked(
        gateway_ref=payment.id,
        attempt_id=_uuid(payment.metadata.get("attempt_id")),
        order_id=_uuid(payment.metadata.get("order_id")),
        currency=payment.currency.upper(),
        authorized_minor=minor(payment.amount_capturable, payment.currency),
        captured_minor=minor(payment.amount_received, payment.currency),
        refunded_minor=minor(returned, payment.currency),
        created_at=datetime.fromtimestamp(payment.created, UTC),
        fee_minor=_kept(payment, payment.amount_received),
    )


def changed(page: Events, since: datetime) -> list[str]:
    """Name the payments that events tell a change of, save those made since then."""
    named = [_changed(event.data.about, since) for event in page.data if _tells(event)]
    return list(dict.fromkeys(name for name in named if name))


def _tells(event: Event) -> bool:
    return event.type.startswith(_CHANGES)


def _changed(about: Subject, since: datetime) -> str | None:
    if about.kind != "payment_intent":
        return about.payment_intent if isinstance(about.payment_intent, str) else None
    if about.created is not None and about.created >= int(since.timestamp()):
        return None
    return about.id


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _fee(call: Charge | TakeAuthorized, payment: PaymentIntent) -> int:
    """Return what Stripe kept of this call; 0 if it does not say so, or in another currency."""
    return _kept(payment, counted(call.amount)) or 0


def _kept(payment: PaymentIntent, amount: int) -> int | None:
    """Return what Stripe kept of an amount, which it counts; None if it does not say so."""
    charge = payment.latest_charge
    moved = charge.balance_transaction if isinstance(charge, LatestCharge) else None
    if not isinstance(moved, BalanceTransaction):
        return None
    if (moved.amount, moved.currency) != (amount, payment.currency):
        return None
    return minor(moved.fee, payment.currency)


def _expiry(payment: PaymentIntent) -> datetime | None:
    charge = payment.latest_charge
    details = charge.payment_method_details if isinstance(charge, LatestCharge) else None
    if details is None or details.card is None or details.card.capture_before is None:
        return None
    return datetime.fromtimestamp(details.card.capture_before, UTC)
