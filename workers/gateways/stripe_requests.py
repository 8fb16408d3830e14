"""What Stripe is asked: the path and the fields of each call."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from domain.payment import Call, Capture, Charge, Refund, TakeAuthorized, Void
from workers.gateways.stripe_objects import counted

PAYMENTS = "/v1/payment_intents"
SEARCH = f"{PAYMENTS}/search"
REFUNDS = "/v1/refunds"
EVENTS = "/v1/events"

# Stripe's largest page.
PAGE = 100
# The charge tells how long money is held, and its balance transaction what Stripe keeps.
_EXPAND = "latest_charge.balance_transaction"

# A capture is no object of its own at Stripe: it is known by a mark in the payment's metadata.
MARK = "c_"


class Asked(msgspec.Struct, frozen=True):
    path: str
    fields: Mapping[str, object]


def execution(call: Call) -> Asked:
    """Say how a call is asked for, with POST."""
    match call:
        case Charge():
            return Asked(PAYMENTS, _charge(call))
        case TakeAuthorized():
            return Asked(f"{payment(call.gateway_ref)}/capture", _capture(call))
        case Void():
            return cancellation(call.gateway_ref, "requested_by_customer")
        case Refund():
            return Asked(REFUNDS, _refund(call))


def payment(gateway_ref: str) -> str:
    """Return the path of a payment."""
    return f"{PAYMENTS}/{gateway_ref}"


def cancellation(gateway_ref: str, reason: str) -> Asked:
    """Say how a payment is ended, with POST, or the rest of it released."""
    fields = {"cancellation_reason": reason, **whole()}
    return Asked(f"{payment(gateway_ref)}/cancel", fields)


def mark(capture: TakeAuthorized) -> str:
    """Return the key in the payment's metadata that says: this capture was made."""
    return f"{MARK}{capture.attempt_id.hex}"


def whole(prefix: str = "") -> Mapping[str, object]:
    """Have payments told with their charge and its fee; those in a list are under `data.`."""
    return {"expand": [prefix + _EXPAND]}


def search(charge: Charge) -> Mapping[str, object]:
    """Search payments by our reference."""
    return {"query": f"metadata['attempt_id']:'{charge.attempt_id}'", **whole("data.")}


def refunds(refund: Refund) -> Mapping[str, object]:
    """List the refunds of a payment, the newest first."""
    return {"payment_intent": refund.gateway_ref, "limit": PAGE}


def payments(since: datetime, until: datetime) -> Mapping[str, object]:
    """List the payments made in a time, the newest first.

    Stripe knows whole seconds. Both ends are cut alike, so that times side by side share none.
    """
    return {**events(since, until), **whole("data.")}


def events(since: datetime, until: datetime) -> Mapping[str, object]:
    """List the events of a time, the newest first; Stripe keeps them for 30 days."""
    made = {"gte": int(since.timestamp()), "lt": int(until.timestamp())}
    return {"created": made, "limit": PAGE}


def _charge(charge: Charge) -> Mapping[str, object]:
    fields: dict[str, object] = {
        "amount": counted(charge.amount),
        "currency": charge.amount.currency.lower(),
        "payment_method": charge.payment_method,
        "confirm": True,
        "capture_method": charge.capture.value,
        # Nobody is sent to another site and back; 3-D Secure happens in the customer's page.
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": _reference(charge),
        **whole(),
    }
    if charge.capture is Capture.MANUAL:
        fields["payment_method_options"] = {"card": {"request_multicapture": "if_available"}}
    return fields


def _capture(capture: TakeAuthorized) -> Mapping[str, object]:
    amount = counted(capture.amount)
    return {
        "amount_to_capture": amount,
        "final_capture": capture.final,
        "metadata": {mark(capture): amount},
        **whole(),
    }


def _refund(refund: Refund) -> Mapping[str, object]:
    return {
        "payment_intent": refund.gateway_ref,
        "amount": counted(refund.amount),
        "reason": refund.reason.value,
        "metadata": _reference(refund),
    }


def _reference(call: Call) -> Mapping[str, str]:
    return {"order_id": str(call.order_id), "attempt_id": str(call.attempt_id)}
