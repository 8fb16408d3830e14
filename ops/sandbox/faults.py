"""How the gateway misbehaves when a payment method or the board asks for it."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import msgspec
from aiohttp import web

from ops.sandbox import answers, cards
from ops.sandbox.board import Fault, Kind
from ops.sandbox.forms import Rejected
from ops.sandbox.requests import ChargeRequest, Request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Longer than any sane caller's timeout.
_SILENCE_S = 60.0
# Close with a reset instead of an orderly end: linger on, for zero seconds.
_LINGER_NOT = struct.pack("ii", 1, 0)
_NOBODY = str(UUID(int=0))
_DRIBBLES = 10
# A request carries this if its execution is to break.
BREAKS = web.RequestKey("breaks", bool)


class Spared:
    """Refuses without executing, once for each key, if the payment method says so."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    async def before(self, asked: Request, key: str) -> None:
        """Wait or refuse before a request is executed. Raises Rejected."""
        if not isinstance(asked, ChargeRequest) or asked.payment_method in cards.GOOD:
            return
        if delay_s := cards.delay_s(asked.payment_method):
            await asyncio.sleep(delay_s)
        fault = cards.fault(asked.payment_method)
        if fault not in {cards.Fault.ERROR_500, cards.Fault.RATE_LIMITED}:
            return
        if key in self._refused:
            self._refused.remove(key)
            return
        self._refused.add(key)
        raise _crash() if fault is cards.Fault.ERROR_500 else _rate_limited()


async def spoiled(
    request: web.Request, asked: Request, response: web.Response
) -> web.StreamResponse:
    """Answer an executed charge wrongly or never, if its payment method says so."""
    fault = cards.fault(asked.payment_method) if isinstance(asked, ChargeRequest) else None
    if fault is None or fault in {cards.Fault.ERROR_500, cards.Fault.RATE_LIMITED}:
        return response
    kind = Kind(fault.removeprefix("pm_sandbox_").replace("_", "-"))
    return await _after(kind, request, response)


async def strike(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request go wrong as the board says."""
    refused = _refused(fault.fault, request)
    if refused is not None:
        return refused
    if fault.fault is Kind.KEPT_500:
        request[BREAKS] = True
    if fault.fault is Kind.DELAY:
        # Read now, so that it executes even if the caller has gone.
        await request.read()
        await asyncio.sleep(fault.delay_s)
    response = await handler(request)
    if not isinstance(response, web.Response):
        return response
    if fault.fault is Kind.TOLD_FIRST:
        await asyncio.sleep(fault.delay_s)
        return response
    if fault.fault is Kind.SLOW:
        return await _dribbled(request, response, fault.delay_s)
    return await _after(fault.fault, request, response)


def _refused(kind: Kind, request: web.Request) -> web.Response | None:
    """Answer without executing anything, if that is what is to happen."""
    match kind:
        case Kind.DOWN | Kind.FLAPPING:
            return _reset(request)
        case Kind.ERROR_500:
            return answers.rejected(_crash()).response()
        case Kind.RATE_LIMITED:
            return answers.rejected(_rate_limited()).response()
        case _:
            return None


async def _after(kind: Kind, request: web.Request, response: web.Response) -> web.StreamResponse:
    match kind:
        case Kind.CHARGED_THEN_TIMEOUT:
            await asyncio.sleep(_SILENCE_S)
            return _reset(request)
        case Kind.CHARGED_THEN_RESET:
            return _reset(request)
        case Kind.CHARGED_THEN_500:
            return answers.rejected(_crash()).response()
        case Kind.DELAY | Kind.KEPT_500:
            return response
        case _:
            return answers.Answer(response.status, _wrong(kind, _body(response))).response()


def _wrong(kind: Kind, body: bytes) -> bytes:
    """Return a body that lies, about each object in it that can be lied about."""
    if kind is Kind.CHARGED_THEN_TRUNCATED:
        return body[: len(body) // 2]
    content = msgspec.json.decode(body)
    data = content.get("data")
    objects = cast("list[dict[str, Any]]", data if isinstance(data, list) else [content])
    for told in objects:
        if kind is Kind.CHARGED_THEN_WRONG_AMOUNT and "amount" in told:
            told["amount"] += 1
            if told.get("amount_received"):
                told["amount_received"] += 1
        if kind is Kind.CHARGED_THEN_WRONG_ATTEMPT and "metadata" in told:
            told["metadata"]["attempt_id"] = _NOBODY
    return msgspec.json.encode(content)


async def _dribbled(
    request: web.Request, response: web.Response, over_s: float
) -> web.StreamResponse:
    body = _body(response)
    told = web.StreamResponse(status=response.status, headers=response.headers)
    told.content_length = len(body)
    await told.prepare(request)
    step = len(body) // _DRIBBLES + 1
    for begin in range(0, len(body), step):
        await asyncio.sleep(over_s / _DRIBBLES)
        await told.write(body[begin : begin + step])
    await told.write_eof()
    return told


def _body(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _crash() -> Rejected:
    return Rejected("An unknown error occurred.", status=500, type_="api_error")


def _rate_limited() -> Rejected:
    message = "Too many requests hit the API too quickly."
    return Rejected(message, status=429, code="rate_limit")


def _reset(request: web.Request) -> web.Response:
    """Reset the connection; what is returned then reaches nobody."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        request.transport.abort()
    return web.Response()
