"""How the gateway misbehaves when a payment method asks for it."""

import asyncio
import socket
import struct
from uuid import UUID

import msgspec
from aiohttp import web

from ops.sandbox import answers, cards
from ops.sandbox.answers import Answer
from ops.sandbox.cards import Fault
from ops.sandbox.ledger import Entry, PaymentIntent
from ops.sandbox.requests import ChargeRequest, RefundRequest, Rejected

# Longer than any sane caller's timeout.
_SILENCE_S = 60.0
# Close with a reset instead of an orderly end: linger on, for zero seconds.
_LINGER_NOT = struct.pack("ii", 1, 0)
_NOBODY = str(UUID(int=0))


class Spared:
    """Refuses without executing, once for each key."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    async def before(self, asked: ChargeRequest | RefundRequest, key: str) -> None:
        """Wait or refuse before a request is executed. Raises Rejected."""
        if isinstance(asked, RefundRequest):
            return
        if delay_s := cards.delay_s(asked.payment_method):
            await asyncio.sleep(delay_s)
        fault = cards.fault(asked.payment_method)
        if fault not in {Fault.ERROR_500, Fault.RATE_LIMITED}:
            return
        if key in self._refused:
            self._refused.remove(key)
            return
        self._refused.add(key)
        if fault is Fault.ERROR_500:
            raise _crash()
        raise Rejected("Too many requests hit the API too quickly.", status=429, code="rate_limit")


async def spoiled(request: web.Request, entry: Entry) -> web.StreamResponse | None:
    """Answer an executed charge wrongly or never, if its payment method says so."""
    if not isinstance(entry, PaymentIntent):
        return None
    match cards.fault(entry.payment_method):
        case None | Fault.ERROR_500 | Fault.RATE_LIMITED:
            return None
        case Fault.CHARGED_THEN_TIMEOUT:
            await asyncio.sleep(_SILENCE_S)
            return _reset(request)
        case Fault.CHARGED_THEN_RESET:
            return _reset(request)
        case fault:
            return _wrong(fault, entry)


def _wrong(fault: Fault, entry: PaymentIntent) -> web.Response:
    told = answers.executed(entry)
    if fault is Fault.CHARGED_THEN_500:
        told = answers.rejected(_crash())
    elif fault is Fault.CHARGED_THEN_TRUNCATED:
        told = Answer(told.status, told.body[: len(told.body) // 2])
    elif fault is Fault.CHARGED_THEN_WRONG_AMOUNT:
        told = answers.executed(msgspec.structs.replace(entry, amount=entry.amount + 1))
    elif fault is Fault.CHARGED_THEN_WRONG_ATTEMPT:
        metadata = entry.metadata | {"attempt_id": _NOBODY}
        told = answers.executed(msgspec.structs.replace(entry, metadata=metadata))
    return told.response()


def _crash() -> Rejected:
    return Rejected("An unknown error occurred.", status=500, type_="api_error")


def _reset(request: web.Request) -> web.Response:
    """Reset the connection; what is returned then reaches nobody."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        request.transport.abort()
    return web.Response()
