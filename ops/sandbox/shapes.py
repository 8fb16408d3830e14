"""The gateway's objects in Stripe's shapes, each rendered from how it stands alone."""

from ops.sandbox import cards, standing
from ops.sandbox.cards import Decline
from ops.sandbox.entries import Dispute
from ops.sandbox.standing import Payment, Refund, Taken

Shape = dict[str, object]
Shapeable = Payment | Refund | Dispute | Taken
# Stripe gives a merchant a week for the evidence, at least.
_EVIDENCE_S = 7 * 24 * 3600


def shape(each: Shapeable, expand: frozenset[str] = frozenset()) -> Shape:
    """Render any object; `expand` names the linked objects that are wanted whole."""
    match each:
        case Payment():
            return payment_intent(each, expand)
        case Refund():
            return _refund(each)
        case Dispute():
            return _dispute(each)
        case Taken():
            return _balance_transaction(each)


def payment_intent(payment: Payment, expand: frozenset[str] = frozenset()) -> Shape:
    """Render a PaymentIntent."""
    made = payment.made
    return {
        "id": made.id,
        "object": "payment_intent",
        "amount": cards.told(made.payment_method, made.amount),
        "amount_capturable": payment.capturable,
        "amount_received": payment.captured,
        "automatic_payment_methods": {"allow_redirects": "never", "enabled": True},
        "canceled_at": payment.canceled_at,
        "cancellation_reason": payment.cancellation_reason,
        "capture_method": "manual" if made.manual else "automatic",
        "client_secret": client_secret(payment),
        "confirmation_method": "automatic",
        "created": made.at,
        "currency": made.currency,
        "customer": None,
        "description": None,
        "last_payment_error": card_error(payment, payment.decline) if payment.decline else None,
        "latest_charge": _latest_charge(payment, expand),
        "livemode": False,
        "metadata": payment.metadata,
        "next_action": _next_action(payment),
        "payment_method": None if payment.decline else made.payment_method,
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "setup_future_usage": None,
        "shipping": None,
        "status": payment.status,
    }


def client_secret(payment: Payment) -> str:
    """Return what lets a customer complete the payment."""
    return f"{payment.id}_secret_sandbox"


def charge(payment: Payment, expand: frozenset[str] = frozenset()) -> Shape:
    """Render the charge of a payment."""
    made, taken = payment.made, payment.taken[-1:]
    whole = "balance_transaction" in expand
    transaction = [_balance_transaction(each) if whole else each.id for each in taken]
    return {
        "id": payment.charge,
        "object": "charge",
        "amount": made.amount,
        "amount_captured": payment.captured,
        "amount_refunded": payment.refunded,
        "balance_transaction": transaction[0] if transaction else None,
        "captured": payment.captured > 0 and payment.capturable == 0,
        "created": made.at,
        "currency": made.currency,
        "disputed": payment.disputed > 0,
        "livemode": False,
        "metadata": payment.metadata,
        "paid": payment.decline is None,
        "payment_intent": made.id,
        "payment_method": made.payment_method,
        "payment_method_details": {"type": "card", "card": _card(payment)},
        "refunded": payment.captured > 0 and payment.refundable == 0,
        "status": "failed" if payment.decline else "succeeded",
    }


def card_error(payment: Payment, decline: Decline) -> Shape:
    """Render why the issuer said no."""
    error: Shape = {
        "type": "card_error",
        "code": decline.code,
        "message": decline.message,
        "charge": payment.charge,
        "payment_method": {"id": payment.made.payment_method, "object": "payment_method"},
    }
    if decline.decline_code:
        error["decline_code"] = decline.decline_code
    return error


def _latest_charge(payment: Payment, expand: frozenset[str]) -> object:
    if payment.status == standing.REQUIRES_ACTION:
        return None
    if not expand:
        return payment.charge
    return charge(payment, frozenset(each.removeprefix("latest_charge.") for each in expand))


def _card(payment: Payment) -> Shape:
    if not payment.made.manual:
        return {"capture_before": None, "multicapture": {"status": "unavailable"}}
    available = "available" if payment.made.multicapture else "unavailable"
    return {
        "capture_before": payment.capture_before or None,
        "multicapture": {"status": available},
    }


def _next_action(payment: Payment) -> Shape | None:
    if payment.status != standing.REQUIRES_ACTION:
        return None
    secret = client_secret(payment)
    page = f"/v1/payment_intents/{payment.id}/authenticate?client_secret={secret}"
    return {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page},
    }


def _refund(refund: Refund) -> Shape:
    made = refund.made
    rendered: Shape = {
        "id": made.id,
        "object": "refund",
        "amount": made.amount,
        "balance_transaction": None,
        "charge": standing.charge_of(made.payment_intent),
        "created": made.at,
        "currency": made.currency,
        "metadata": made.metadata,
        "payment_intent": made.payment_intent,
        "reason": made.reason,
        "status": refund.status,
    }
    if refund.status == "failed":
        rendered["failure_reason"] = "expired_or_canceled_card"
    return rendered


def _dispute(dispute: Dispute) -> Shape:
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "charge": standing.charge_of(dispute.payment_intent),
        "created": dispute.at,
        "currency": dispute.currency,
        "evidence_details": {"due_by": dispute.at + _EVIDENCE_S, "has_evidence": False},
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": dispute.payment_intent,
        "reason": dispute.reason,
        "status": "needs_response",
    }


def _balance_transaction(taken: Taken) -> Shape:
    return {
        "id": taken.id,
        "object": "balance_transaction",
        "amount": taken.amount,
        "available_on": taken.at,
        "created": taken.at,
        "currency": taken.currency,
        "fee": taken.fee,
        "fee_details": [
            {"amount": taken.fee, "currency": taken.currency, "type": "stripe_fee"},
        ],
        "net": taken.amount - taken.fee,
        "reporting_category": "charge",
        "source": taken.charge,
        "status": "available",
        "type": "charge",
    }
