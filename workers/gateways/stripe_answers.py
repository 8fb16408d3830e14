"""What Stripe's answers mean for a payment attempt.

Succeeded  2xx, and id, status, amount, currency and attempt are what was asked for
Declined   402 card error, under the issuer's code
           400 or 404, `gateway_refused:<code>`: validated and refused, nothing was moved
           requires_action, `authentication_required`: nobody will come to authenticate
Unsent     no connection; 429; 401, 403 and an unknown path, which are the operator's to mend
Unknown    everything else: timeout, reset, 5xx, an answer that cannot be read or is not about
           this attempt, 409 (an earlier call with this key still runs) and a key that was used
           with other parameters

Outcomes speak of one call. If an earlier call of the attempt is Unknown, an Unsent one leaves it
so; a Declined one settles it, because a key gives its first answer again.
"""

import aiohttp
import msgspec
import stripe

from domain.money import Money
from domain.payment import Charge, Declined, Outcome, Refund, Succeeded, Unknown, Unsent

# Stripe counts these in hundredths although ISO 4217 gives them no minor unit.
_COUNTED_IN_HUNDREDTHS = frozenset({"ISK", "UGX"})
_NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
# What a call may end in besides an answer. The SDK raises AttributeError for an error object that
# is none, e.g. `{"error": null}`.
FAILURES = (stripe.StripeError, aiohttp.ClientError, OSError, msgspec.DecodeError, AttributeError)


class _Problem(msgspec.Struct, frozen=True):
    """Stripe's error object."""

    type: str
    code: str | None = None
    decline_code: str | None = None


class _Errors(msgspec.Struct, frozen=True):
    error: _Problem


class PaymentIntent(msgspec.Struct, frozen=True):
    id: str
    status: str
    amount: int
    currency: str
    amount_received: int = 0
    metadata: dict[str, str] = {}
    last_payment_error: _Problem | None = None


class RefundMade(msgspec.Struct, frozen=True):
    id: str
    status: str
    amount: int
    currency: str
    payment_intent: str | None


class Found(msgspec.Struct, frozen=True):
    data: list[PaymentIntent]


payment_decoder = msgspec.json.Decoder(PaymentIntent)
refund_decoder = msgspec.json.Decoder(RefundMade)
found_decoder = msgspec.json.Decoder(Found)
_errors_decoder = msgspec.json.Decoder(_Errors)


def amount(money: Money) -> int:
    """Return an amount as Stripe counts it."""
    return money.minor * 100 if money.currency in _COUNTED_IN_HUNDREDTHS else money.minor


def charged(charge: Charge, payment: PaymentIntent) -> Outcome:
    """Judge a PaymentIntent, which must be the one that was asked for."""
    if payment.metadata.get("attempt_id") != str(charge.attempt_id):
        return Unknown(f"The gateway answered with {payment.id}, which is of another attempt.")
    asked = (amount(charge.amount), charge.amount.currency.lower())
    if (payment.amount, payment.currency) != asked:
        return Unknown(
            f"{payment.id} is of {payment.amount} {payment.currency}: not what was asked."
        )
    if payment.status == "succeeded" and payment.amount_received == payment.amount:
        return Succeeded(payment.id)
    if code := _no_of(payment):
        return Declined(code)
    received = payment.amount_received
    return Unknown(f"{payment.id} is {payment.status}, {received} of {payment.amount} received.")


def _no_of(payment: PaymentIntent) -> str | None:
    match payment.status:
        case "requires_action":
            return "authentication_required"
        case "canceled":
            return "canceled"
        case "requires_payment_method" if payment.last_payment_error is not None:
            return _code(payment.last_payment_error)
        case _:
            return None


def refunded(refund: Refund, made: RefundMade) -> Outcome:
    """Judge a Refund, which must be the one that was asked for."""
    asked = (refund.gateway_ref, amount(refund.amount), refund.amount.currency.lower())
    if (made.payment_intent, made.amount, made.currency) != asked:
        return Unknown(f"The gateway answered with {made.id}, which is not what was asked.")
    match made.status:
        case "succeeded" | "pending":
            return Succeeded(made.id)
        case "failed" | "canceled":
            return Declined(f"gateway_refused:refund_{made.status}")
        case status:
            return Unknown(f"{made.id} is {status}.")


def failed(error: Exception) -> Declined | Unknown | Unsent:
    """Judge a call that did not end in a 2xx answer.

    No text of Stripe's goes into a reason: it may quote the payment method.
    """
    if isinstance(error, stripe.APIConnectionError):
        cause = error.__cause__ or error
        if isinstance(cause, _NEVER_CONNECTED):
            return Unsent(f"The gateway could not be reached: {type(cause).__name__}.")
        return Unknown(f"The gateway did not answer: {type(cause).__name__}.")
    if isinstance(error, stripe.StripeError):
        return _refused(error.http_status, error.http_body or "")
    return Unknown(f"The gateway's answer could not be read: {type(error).__name__}.")


def _refused(status: int | None, body: str) -> Declined | Unknown | Unsent:
    """Judge an answer that is not 2xx; only with an error object is it known to be Stripe's."""
    try:
        problem = _errors_decoder.decode(body).error
    except msgspec.DecodeError:
        return Unknown(f"The gateway answered {status} without an error object.")
    match status, problem.type:
        case 402, "card_error":
            return Declined(_code(problem))
        case 400, "invalid_request_error":
            return Declined(f"gateway_refused:{_code(problem)}")
        case 404, "invalid_request_error" if problem.code == "resource_missing":
            return Declined(f"gateway_refused:{_code(problem)}")
        case 401 | 403 | 404 | 429, _:
            return Unsent(f"The gateway answered {status}, {_code(problem)}.")
        case _:
            return Unknown(f"The gateway answered {status}, {_code(problem)}.")


def _code(problem: _Problem) -> str:
    return problem.decline_code or problem.code or problem.type
