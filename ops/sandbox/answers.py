"""What the gateway answers: a status and JSON, the same bytes however often it is asked."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from aiohttp import web

from ops.sandbox import shapes
from ops.sandbox.entries import Entry, PaymentIntent
from ops.sandbox.forms import Rejected
from ops.sandbox.shapes import Shape, Shapeable
from ops.sandbox.standing import Payment, Refused, Standing


class Answer(msgspec.Struct, frozen=True):
    """A status and a JSON body."""

    status: int
    body: bytes

    def response(self) -> web.Response:
        """Make the HTTP response."""
        headers = {"Content-Type": "application/json"}
        return web.Response(body=self.body, status=self.status, headers=headers)


def executed(entry: Entry, stands: Standing, expand: frozenset[str]) -> Answer:
    """Render what an executed request came to."""
    match stands:
        case Refused():
            return _refused(stands)
        case Payment() if isinstance(entry, PaymentIntent) and entry.decline is not None:
            whole = shapes.payment_intent(stands, expand)
            error = shapes.card_error(stands, entry.decline) | {"payment_intent": whole}
            return json(402, {"error": error})
        case _:
            return json(200, shapes.shape(stands, expand))


def rejected(error: Rejected) -> Answer:
    """Render an error object."""
    return json(error.status, {"error": _error(error)})


def listed(
    url: str, objects: Sequence[Shapeable], *, more: bool, expand: frozenset[str] = frozenset()
) -> Answer:
    """Render a page of a list."""
    return page(url, [shapes.shape(each, expand) for each in objects], more=more)


def page(url: str, data: Sequence[Shape], *, more: bool) -> Answer:
    """Render a page of what is rendered already."""
    return json(200, {"object": "list", "url": url, "has_more": more, "data": data})


def found(objects: Sequence[Payment], *, next_page: str | None, expand: frozenset[str]) -> Answer:
    """Render the result of a search."""
    return json(
        200,
        {
            "object": "search_result",
            "url": "/v1/payment_intents/search",
            "has_more": next_page is not None,
            "next_page": next_page,
            "data": [shapes.payment_intent(each, expand) for each in objects],
        },
    )


def json(status: int, content: Shape) -> Answer:
    """Render anything."""
    return Answer(status, msgspec.json.encode(content))


def _refused(stands: Refused) -> Answer:
    made = stands.made
    type_ = (
        "api_error" if made.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    )
    error = _error(
        Rejected(made.message, status=made.status, type_=type_, code=made.code, param=made.param)
    )
    if stands.payment is not None:
        error["payment_intent"] = shapes.payment_intent(stands.payment)
    return json(made.status, {"error": error})


def _error(error: Rejected) -> Shape:
    fields: Shape = {"type": error.type, "message": error.message}
    optional = {"code": error.code, "param": error.param}
    return fields | {name: value for name, value in optional.items() if value is not None}
