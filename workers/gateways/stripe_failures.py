"""What it means for a payment attempt that a call to Stripe did not end in a 2xx answer.

Declined   402 card error, under the issuer's code
           400 or 404, `gateway_refused:<code>`: validated and refused, nothing was moved
Unsent     no connection; 429; 401, 403 and an unknown path, which are the operator's to mend
Unknown    everything else: timeout, reset, 5xx, an answer that cannot be read, 409 (an earlier
           call with this key still runs) and a key that was used with other parameters

Outcomes speak of one call. If an earlier call of the attempt is Unknown, an Unsent one leaves it
so; a Declined one settles it, because a key gives its first answer again.
"""

import aiohttp
import msgspec
import stripe

from domain.payment import Declined, Unknown, Unsent
from workers.gateways.stripe_objects import errors_decoder

_NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
# What a call may end in besides an answer. The SDK raises AttributeError for an error object that
# is none, e.g. `{"error": null}`.
FAILURES = (stripe.StripeError, aiohttp.ClientError, OSError, msgspec.DecodeError, AttributeError)


def failed(error: Exception) -> Declined | Unknown | Unsent:
    """Judge one of FAILURES.

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


def lookup_failed(error: Exception) -> Unknown:
    """Judge one of FAILURES of a question: whatever it was, it says nothing of the attempt."""
    failure = failed(error)
    why = failure.code if isinstance(failure, Declined) else failure.reason
    return Unknown(f"The lookup failed: {why}")


def _refused(status: int | None, body: str) -> Declined | Unknown | Unsent:
    """Judge an answer that is not 2xx; only with an error object is it known to be Stripe's."""
    try:
        problem = errors_decoder.decode(body).error
    except msgspec.DecodeError:
        return Unknown(f"The gateway answered {status} without an error object.")
    match status, problem.type:
        case 402, "card_error":
            return Declined(problem.reason())
        case 400, "invalid_request_error":
            return Declined(f"gateway_refused:{problem.reason()}")
        case 404, "invalid_request_error" if problem.code == "resource_missing":
            return Declined(f"gateway_refused:{problem.reason()}")
        case 401 | 403 | 404 | 429, _:
            return Unsent(f"The gateway answered {status}, {problem.reason()}.")
        case _:
            return Unknown(f"The gateway answered {status}, {problem.reason()}.")
