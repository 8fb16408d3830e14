"""What a caller may ask the gateway to do."""

import re

import msgspec

from ops.sandbox import cards, forms
from ops.sandbox.forms import Rejected

# Stripe's largest amount for most currencies; its smallest, about 0.50 USD, is not imitated.
AMOUNT_MAX = 99_999_999
EXPANDABLE = frozenset({"latest_charge", "latest_charge.balance_transaction"})
_REFUND_REASONS = {"duplicate", "fraudulent", "requested_by_customer"}
_CANCEL_REASONS = {"duplicate", "fraudulent", "requested_by_customer", "abandoned"}
_MULTICAPTURE = "payment_method_options[card][request_multicapture]"


class ChargeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/payment_intents with confirm=true."""

    amount: int
    currency: str
    payment_method: str
    error_on_requires_action: bool
    metadata: dict[str, str]
    manual: bool = False
    multicapture: bool = False
    expand: frozenset[str] = frozenset()


class CaptureRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/payment_intents/{id}/capture."""

    payment_intent: str
    amount: int | None
    final: bool
    metadata: dict[str, str]
    expand: frozenset[str]


class VoidRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/payment_intents/{id}/cancel."""

    payment_intent: str
    reason: str | None
    expand: frozenset[str]


class RefundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/refunds of a payment intent or its charge."""

    payment_intent: str
    amount: int | None
    metadata: dict[str, str]
    reason: str | None = None
    expand: frozenset[str] = frozenset()


class DisputeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """POST /v1/disputes, which only the sandbox has."""

    payment_intent: str
    amount: int | None
    expand: frozenset[str] = frozenset()


Request = ChargeRequest | CaptureRequest | VoidRequest | RefundRequest | DisputeRequest


def charge(fields: dict[str, str], _id: str) -> ChargeRequest:
    """Read a charge. Raises Rejected for what Stripe refuses or the sandbox cannot do."""
    metadata, wanted = forms.metadata(fields), forms.expand(fields, EXPANDABLE)
    amount, currency = _amount(fields, "amount"), fields.pop("currency", "")
    if not re.fullmatch("[a-z]{3}", currency):
        raise Rejected(f"Invalid currency: {currency[:10]}.", param="currency")
    if amount is None:
        raise Rejected("Missing required param: amount.", code="parameter_missing", param="amount")
    payment_method = forms.required(fields, "payment_method")
    if not cards.known(payment_method):
        raise Rejected.missing("payment_method", payment_method)
    asked = ChargeRequest(
        amount=amount,
        currency=currency,
        payment_method=payment_method,
        metadata=metadata,
        expand=wanted,
        **_manner(fields),
    )
    forms.nothing_left(fields)
    return asked


def _manner(fields: dict[str, str]) -> dict[str, bool]:
    forms.one_of(fields, "confirm", {"true"}, required=True)
    forms.one_of(fields, "automatic_payment_methods[enabled]", {"true"})
    forms.one_of(fields, "automatic_payment_methods[allow_redirects]", {"never", "always"})
    fields.pop("description", None)
    methods = {"automatic", "automatic_async", "manual"}
    strict = forms.one_of(fields, "error_on_requires_action", {"true", "false"})
    return {
        "manual": forms.one_of(fields, "capture_method", methods) == "manual",
        "multicapture": forms.one_of(fields, _MULTICAPTURE, {"if_available", "never"})
        == "if_available",
        "error_on_requires_action": strict == "true",
    }


def capture(fields: dict[str, str], payment_intent: str) -> CaptureRequest:
    """Read a capture. Raises Rejected."""
    asked = CaptureRequest(
        payment_intent=payment_intent,
        amount=_amount(fields, "amount_to_capture", least=0),
        final=forms.one_of(fields, "final_capture", {"true", "false"}) != "false",
        metadata=forms.metadata(fields),
        expand=forms.expand(fields, EXPANDABLE),
    )
    forms.nothing_left(fields)
    return asked


def void(fields: dict[str, str], payment_intent: str) -> VoidRequest:
    """Read a cancellation. Raises Rejected."""
    asked = VoidRequest(
        payment_intent=payment_intent,
        reason=forms.one_of(fields, "cancellation_reason", _CANCEL_REASONS),
        expand=forms.expand(fields, EXPANDABLE),
    )
    forms.nothing_left(fields)
    return asked


def refund(fields: dict[str, str], _id: str) -> RefundRequest:
    """Read a refund. Raises Rejected for what Stripe refuses or the sandbox cannot do."""
    metadata, amount = forms.metadata(fields), _amount(fields, "amount")
    payment_intent = _paid(fields)
    reason = forms.one_of(fields, "reason", _REFUND_REASONS)
    forms.nothing_left(fields)
    return RefundRequest(
        payment_intent=payment_intent, amount=amount, metadata=metadata, reason=reason
    )


def dispute(fields: dict[str, str], _id: str) -> DisputeRequest:
    """Read the wish for a dispute. Raises Rejected."""
    asked = DisputeRequest(payment_intent=_paid(fields), amount=_amount(fields, "amount"))
    forms.nothing_left(fields)
    return asked


def _paid(fields: dict[str, str]) -> str:
    charge_id = fields.pop("charge", "")
    if charge_id:
        return "pi_" + charge_id.removeprefix("ch_")
    return forms.required(fields, "payment_intent")


def _amount(fields: dict[str, str], param: str, *, least: int = 1) -> int | None:
    text = fields.pop(param, None)
    if text is None:
        return None
    return forms.integer(text, param, least, AMOUNT_MAX)
