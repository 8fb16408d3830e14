"""The line from a worker process to the outside, which is played in the process of the test."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from domain.mail import Delivery, Mail, Refused, Sent
from domain.mail import Unsent as NotSent
from domain.payment import (
    ActionRequired,
    Booked,
    Call,
    Charge,
    Declined,
    Outcome,
    Refund,
    Statement,
    Succeeded,
    TakeAuthorized,
    Unknown,
    Unsent,
    Void,
)
from tests.bank import Bank
from tests.postbox import Postbox

ABOUT = {kind.__name__: kind for kind in (Charge, TakeAuthorized, Void, Refund, Mail)}
OUTCOMES = {kind.__name__: kind for kind in (Succeeded, ActionRequired, Declined, Unknown, Unsent)}
DELIVERIES = {kind.__name__: kind for kind in (Sent, Refused, NotSent)}

# What is asked, the name of the type it is asked about, its fields, and what else is said.
Request = tuple[str, str, msgspec.Raw, list[str]]
# The name of an answer's type and its fields; None for a lookup that found nothing.
Answer = tuple[str, dict[str, Any]] | None


class DeadLine(Exception):
    """The other side hung up, or was never there."""


@asynccontextmanager
async def listening(socket: Path, bank: Bank, postbox: Postbox) -> AsyncGenerator[None]:
    """Answer the calls of worker processes; one that hangs up is not served any further."""
    doors: dict[str, Callable[..., Awaitable[Any]]] = {
        "execute": bank.execute,
        "find": bank.find,
        "abandon": bank.abandon,
        "send": postbox.send,
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb, kind, about, more = msgspec.json.decode(await reader.readline(), type=Request)
        asked = doors[verb](msgspec.json.decode(about, type=ABOUT[kind]), *more)
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

    async def execute(self, call: Call) -> Outcome:
        return await self._ask("execute", call) or Unknown("The answer made no sense.")

    async def find(self, call: Call) -> Outcome | None:
        return await self._ask("find", call)

    async def abandon(self, call: Charge, gateway_ref: str) -> Outcome:
        answer = await self._ask("abandon", call, gateway_ref)
        return answer or Unknown("The answer made no sense.")

    async def statement(
        self, since: datetime, until: datetime, cursor: str | None
    ) -> Statement | Unsent | Unknown:
        """Show nothing: the books are read in the process that keeps them."""
        del since, until, cursor
        return Statement((), None)

    async def booked(self, gateway_ref: str) -> Booked | Unsent | Unknown | None:
        """Say nothing: the books are read in the process that keeps them."""
        return Unknown(f"{gateway_ref} cannot be asked after from here.")

    async def close(self) -> None:
        """Nothing is held."""

    async def _ask(self, verb: str, call: Call, *more: str) -> Outcome | None:
        try:
            answer = await _call(self._socket, verb, call, *more)
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


async def _call(socket: Path, verb: str, about: Call | Mail, *more: str) -> Answer:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError as error:
        raise DeadLine from error
    try:
        writer.write(msgspec.json.encode((verb, type(about).__name__, about, more)) + b"\n")
        answer = await reader.readline()
    except ConnectionError as error:
        raise DeadLine from error
    finally:
        writer.close()
    if not answer:
        raise DeadLine
    return msgspec.json.decode(answer, type=Answer)
