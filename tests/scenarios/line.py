"""The line from a worker process to the outside, which is played in the process of the test."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from domain.mail import Delivery, Mail, Refused, Sent
from domain.mail import Unsent as NotSent
from domain.payment import Charge, Declined, Outcome, Refund, Succeeded, Unknown, Unsent
from tests.bank import Bank
from tests.postbox import Postbox

ABOUT = {"charge": Charge, "find_charge": Charge, "refund": Refund, "send": Mail}
OUTCOMES = {kind.__name__: kind for kind in (Succeeded, Declined, Unknown, Unsent)}
DELIVERIES = {kind.__name__: kind for kind in (Sent, Refused, NotSent)}

Request = tuple[str, msgspec.Raw]
# The name of an answer's type and its fields; None for a lookup that found nothing.
Answer = tuple[str, dict[str, str]] | None


class DeadLine(Exception):
    """The other side hung up, or was never there."""


@asynccontextmanager
async def listening(socket: Path, bank: Bank, postbox: Postbox) -> AsyncGenerator[None]:
    """Answer the calls of worker processes; one that hangs up is not served any further."""
    doors: dict[str, Callable[[Any], Awaitable[Any]]] = {
        "charge": bank.charge,
        "find_charge": bank.find_charge,
        "refund": bank.refund,
        "send": postbox.send,
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb, about = msgspec.json.decode(await reader.readline(), type=Request)
        asked = doors[verb](msgspec.json.decode(about, type=ABOUT[verb]))
        answering, hanging_up = asyncio.ensure_future(asked), asyncio.create_task(reader.read())
        await asyncio.wait({answering, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
        with suppress(ConnectionError):
            if answering.done():
                writer.write(_written(answering.result()))
                await writer.drain()
        answering.cancel()
        hanging_up.cancel()
        writer.close()

    server = await asyncio.start_unix_server(answer, socket)
    async with server:
        yield


def _written(outcome: Outcome | Delivery | None) -> bytes:
    named = outcome and (type(outcome).__name__, msgspec.to_builtins(outcome))
    return msgspec.json.encode(named) + b"\n"


class CallingBank:
    """The bank, as a worker process reaches it."""

    name = "bank"

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def charge(self, charge: Charge) -> Outcome:
        return await self._ask("charge", charge) or Unknown("The answer made no sense.")

    async def find_charge(self, charge: Charge) -> Outcome | None:
        return await self._ask("find_charge", charge)

    async def refund(self, refund: Refund) -> Outcome:
        return await self._ask("refund", refund) or Unknown("The answer made no sense.")

    async def close(self) -> None:
        """Nothing is held."""

    async def _ask(self, verb: str, about: Charge | Refund) -> Outcome | None:
        try:
            answer = await _call(self._socket, verb, about)
        except DeadLine:
            return Unknown("The line went dead.")
        return answer and msgspec.convert(answer[1], OUTCOMES[answer[0]])


class CallingPostbox:
    """The postbox, as a worker process reaches it."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def send(self, mail: Mail) -> Delivery:
        try:
            answer = await _call(self._socket, "send", mail)
        except DeadLine:
            answer = None
        if answer is None:
            return NotSent("The line went dead.")
        return msgspec.convert(answer[1], DELIVERIES[answer[0]])

    async def close(self) -> None:
        """Nothing is held."""


async def _call(socket: Path, verb: str, about: Charge | Refund | Mail) -> Answer:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError as error:
        raise DeadLine from error
    try:
        writer.write(msgspec.json.encode((verb, about)) + b"\n")
        answer = await reader.readline()
    except ConnectionError as error:
        raise DeadLine from error
    finally:
        writer.close()
    if not answer:
        raise DeadLine
    return msgspec.json.decode(answer, type=Answer)
