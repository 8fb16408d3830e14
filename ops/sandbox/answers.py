"""Answers of the gateway in Stripe's shapes, each rendered from its ledger entry alone."""

from collections.abc import Sequence

import msgspec
from aiohttp import web

from ops.sandbox.cards import Decline
from ops.sandbox.ledger import Entry, PaymentIntent, Refund, Refusal
from ops.sandbox.requests import Rejected


class Answer(msgspec.Struct, frozen=True):
    """A status and a JSON body."""

    status: int
    body: bytes

    def response(self) -> web.Response:
        """Make the HTTP response."""
        headers = {"Content-Type": "application/json"}
        return web.Response(body=self.body, status=self.status, headers=headers)


def executed(entry: Entry) -> Answer:
    """Render what an executed request came to; the same bytes however often it is asked."""
    match entry:
        case PaymentIntent():
            whole = payment_intent(entry)
            if entry.decline is None:
                return _json(200, whole)
            error = _card_error(entry, entry.decline) | {"payment_intent": whole}
            return _json(402, {"error": error})
        case Refund():
            return _json(200, refund(entry))
        case Refusal():
            return rejected(Rejected(entry.message, code=entry.code, param=entry.param))


def rejected(error: Rejected) -> Answer:
    """Render an error object."""
    fields = {"type": error.type, "message": error.message}
    optional = {"code": error.code, "param": error.param}
    fields |= {name: value for name, value in optional.items() if value is not None}
    return _json(error.status, {"error": fields})


def got(payment: PaymentIntent) -> Answer:
    """Render one payment, as it is now."""
    return _json(200, payment_intent(payment))


def found(objects: Sequence[PaymentIntent]) -> Answer:
    """Render the result of a search."""
    return _json(
        200,
        {
            "object": "search_result",
            "url": "/v1/payment_intents/search",
            "has_more": False,
            "next_page": None,
            "data": [payment_intent(each) for each in objects],
        },
    )


def listed(url: str, objects: Sequence[PaymentIntent] | Sequence[Refund], *, more: bool) -> Answer:
    """Render a page of a list."""
    data = [
        payment_intent(each) if isinstance(each, PaymentIntent) else refund(each)
        for each in objects
    ]
    return _json(200, {"object": "list", "url": url, "has_more": more, "data": data})


def payment_intent(entry: PaymentIntent) -> dict[str, object]:
    """Render a PaymentIntent."""
    return {
        "id": entry.id,
        "object": "payment_intent",
        "amount": entry.amount,
        "amount_capturable": 0,
        "amount_received": entry.captured,
        "automatic_payment_methods": {"allow_redirects": "never", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{entry.id}_secret_sandbox",
        "confirmation_method": "automatic",
        "created": entry.at,
        "currency": entry.currency,
        "customer": None,
        "description": None,
        "last_payment_error": _card_error(entry, entry.decline) if entry.decline else None,
        "latest_charge": "ch_" + entry.id.removeprefix("pi_"),
        "livemode": False,
        "metadata": entry.metadata,
        "next_action": ({"type": "use_stripe_sdk"} if entry.status == "requires_action" else None),
        "payment_method": None if entry.decline else entry.payment_method,
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "setup_future_usage": None,
        "shipping": None,
        "status": entry.status,
    }


def refund(entry: Refund) -> dict[str, object]:
    """Render a Refund."""
    return {
        "id": entry.id,
        "object": "refund",
        "amount": entry.amount,
        "charge": "ch_" + entry.payment_intent.removeprefix("pi_"),
        "created": entry.at,
        "currency": entry.currency,
        "metadata": entry.metadata,
        "payment_intent": entry.payment_intent,
        "reason": None,
        "status": "succeeded",
    }


def _card_error(entry: PaymentIntent, decline: Decline) -> dict[str, object]:
    error: dict[str, object] = {
        "type": "card_error",
        "code": decline.code,
        "message": decline.message,
        "charge": "ch_" + entry.id.removeprefix("pi_"),
        "payment_method": {"id": entry.payment_method, "object": "payment_method"},
    }
    if decline.decline_code:
        error["decline_code"] = decline.decline_code
    return error


def _json(status: int, content: dict[str, object]) -> Answer:
    return Answer(status, msgspec.json.encode(content))
