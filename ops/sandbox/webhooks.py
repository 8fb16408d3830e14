"""Events on their way to the merchant: signed, retried, and disturbed as the board says."""

import asyncio
import hmac
import random
import time
from collections.abc import AsyncGenerator
from hashlib import sha256
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from ops.sandbox.account import Account
from ops.sandbox.board import Board, Kind
from ops.sandbox.events import Event
from ops.sandbox.journal import Journal

FILE = "gateway-webhooks.jsonl"
_AT_ONCE = 8
_TIMEOUT_S = 10.0
_RETRY_FIRST_S = 0.2
_RETRY_MAX_S = 30.0
# Stripe tries for three days; nobody watches a sandbox for longer than this.
_GIVE_UP_S = 3600.0
_OK = range(200, 300)
# Stripe's libraries refuse what is older than 300 s.
_OLD_S = 600


class Endpoint(msgspec.Struct, frozen=True):
    """Where events go, and the secret they are signed with."""

    url: str
    secret: str


class _Delivered(msgspec.Struct, frozen=True):
    event: str
    at: int


class _Trip(msgspec.Struct, frozen=True):
    """One event's next try."""

    event: Event
    tried: int = 0
    disturbed: bool = False  # the board has had its say


def signature(secret: str, body: bytes, at: int) -> str:
    """Return the value of Stripe-Signature."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, sha256).hexdigest()
    return f"t={at},v1={digest}"


class Webhooks:
    """Delivers an account's events; what was delivered is kept, so that a restart goes on."""

    def __init__(
        self, account: Account, board: Board, endpoint: Endpoint | None, folder: Path
    ) -> None:
        """Read what was delivered. Raises JournalUnusable if another sandbox has the file."""
        self._account, self._board, self._endpoint = account, board, endpoint
        self._marks: Journal | None = None
        self._due: asyncio.Queue[_Trip] = asyncio.Queue()
        if endpoint is not None:
            self._marks = Journal(folder / FILE)
            done = {
                msgspec.json.decode(line, type=_Delivered).event for _, line in self._marks.lines()
            }
            since = time.time() - _GIVE_UP_S
            for event in account.events:
                if event.id not in done and event.at > since:
                    self._due.put_nowait(_Trip(event))
            account.told = lambda event: self._due.put_nowait(_Trip(event))

    def close(self) -> None:
        """Let another process open the file."""
        if self._marks is not None:
            self._marks.close()

    async def running(self, _app: web.Application) -> AsyncGenerator[None]:
        """Deliver while the application runs."""
        self._account.catch_up()
        if self._endpoint is None:
            yield
            return
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            carriers = [
                asyncio.create_task(self._carry(session, self._endpoint)) for _ in range(_AT_ONCE)
            ]
            yield
            for carrier in carriers:
                carrier.cancel()
            await asyncio.gather(*carriers, return_exceptions=True)

    async def _carry(self, session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
        while True:
            trip = await self._due.get()
            # What a crash could undo is not told.
            await self._account.journal.durable()
            if not trip.disturbed and self._board and await self._disturb(trip, session, endpoint):
                continue
            if await self._send(session, endpoint, msgspec.json.encode(trip.event.shape())):
                self._mark(trip.event)
            elif trip.event.at + _GIVE_UP_S > time.time():
                after_s = min(_RETRY_FIRST_S * 2**trip.tried, _RETRY_MAX_S)
                self._later(after_s, _Trip(trip.event, trip.tried + 1, disturbed=True))

    async def _disturb(
        self, trip: _Trip, session: aiohttp.ClientSession, endpoint: Endpoint
    ) -> bool:
        """Do what the board says; return whether the event itself travels later."""
        after_s = 0.0
        whole = trip.event.shape()
        for fault in self._board.strike_webhook():
            match fault.fault:
                case Kind.WEBHOOK_FORGED:
                    forged = endpoint.secret + "-forged"
                    body = msgspec.json.encode(whole | {"id": f"{trip.event.id}f"})
                    await self._send(session, Endpoint(endpoint.url, forged), body)
                case Kind.WEBHOOK_OLD:
                    await self._send(session, endpoint, msgspec.json.encode(whole), ago_s=_OLD_S)
                case Kind.WEBHOOK_DOUBLED:
                    await self._send(session, endpoint, msgspec.json.encode(whole))
                case Kind.WEBHOOK_SHUFFLED:
                    after_s += random.random() * fault.delay_s  # noqa: S311 - any order will do
                case _:
                    after_s += fault.delay_s
        if after_s:
            self._later(after_s, _Trip(trip.event, disturbed=True))
        return after_s > 0

    async def _send(
        self, session: aiohttp.ClientSession, endpoint: Endpoint, body: bytes, *, ago_s: int = 0
    ) -> bool:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(endpoint.secret, body, int(time.time()) - ago_s),
        }
        try:
            async with session.post(
                endpoint.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status in _OK
        except (aiohttp.ClientError, TimeoutError):
            # Nobody is there; the retry says so again, until it gives up.
            return False

    def _later(self, after_s: float, trip: _Trip) -> None:
        asyncio.get_running_loop().call_later(after_s, self._due.put_nowait, trip)

    def _mark(self, event: Event) -> None:
        # Not fsynced: an event that is told twice after a crash does no harm.
        if self._marks is not None:
            self._marks.append(msgspec.json.encode(_Delivered(event.id, int(time.time()))))
