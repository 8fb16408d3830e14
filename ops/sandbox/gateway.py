"""The payment gateway's HTTP side: Stripe's paths, keys and idempotency over the books."""

import secrets
import time
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from ops.sandbox import answers, faults, requests
from ops.sandbox.books import Books
from ops.sandbox.journal import Journal, JournalUnusable
from ops.sandbox.ledger import FILE, Entry, decoder
from ops.sandbox.requests import ChargeRequest, RefundRequest, Rejected

# Far above any form the adapters of this world send.
_BODY_MAX = 64 * 1024
_KEY_MAX = 255

_Asked = TypeVar("_Asked", ChargeRequest, RefundRequest)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gateway:
    """One merchant's account at the gateway, kept in a folder."""

    def __init__(self, folder: Path) -> None:
        """Open the ledger and read it whole. Raises JournalUnusable if it cannot be."""
        self.journal = Journal(folder / FILE)
        self.books = Books()
        self._in_flight: set[str] = set()
        self._spared = faults.Spared()
        for number, (_, line) in enumerate(self.journal.lines(), start=1):
            try:
                self.books.enter(decoder.decode(line))
            except msgspec.DecodeError as error:
                raise JournalUnusable(
                    f"{self.journal.path}, line {number}: {error}. Move it away to start anew."
                ) from error

    def application(self) -> web.Application:
        """Make the HTTP application."""
        app = web.Application(middlewares=[_answer_in_stripes_way], client_max_size=_BODY_MAX)
        app.add_routes(
            [
                web.post("/v1/payment_intents", self._charge),
                web.get("/v1/payment_intents", self._list_payments),
                web.get("/v1/payment_intents/search", self._search),
                web.get("/v1/payment_intents/{id}", self._get_payment),
                web.post("/v1/refunds", self._refund),
                web.get("/v1/refunds", self._list_refunds),
            ]
        )
        return app

    async def _charge(self, request: web.Request) -> web.StreamResponse:
        return await self._execute(request, requests.charge, self.books.charge)

    async def _refund(self, request: web.Request) -> web.StreamResponse:
        return await self._execute(request, requests.refund, self.books.refund)

    async def _execute(
        self,
        request: web.Request,
        read: Callable[[dict[str, str]], _Asked],
        decide: Callable[..., Entry],
    ) -> web.StreamResponse:
        key = request.headers.get("Idempotency-Key", "")
        body = await request.read()
        fields = requests.form(body)
        fingerprint = _fingerprint(request.path, fields)
        if kept := self.books.by_key.get(key):
            return await self._replay(key, kept, fingerprint)
        if key in self._in_flight or len(key) > _KEY_MAX:
            raise _unusable_key(key)
        asked = read(fields)
        if key:
            self._in_flight.add(key)
        try:
            await self._spared.before(asked, key)
            entry = decide(asked, key=key, fingerprint=fingerprint, at=int(time.time()))
            self.books.enter(entry)
            self.journal.append(msgspec.json.encode(entry))
            await self.journal.durable()
        finally:
            self._in_flight.discard(key)
        return await faults.spoiled(request, entry) or answers.executed(entry).response()

    async def _replay(self, key: str, kept: Entry, fingerprint: str) -> web.StreamResponse:
        if key in self._in_flight:
            raise _unusable_key(key)
        if kept.fingerprint != fingerprint:
            raise Rejected(
                "Keys for idempotent requests can only be used with the same parameters they were"
                f" first used with. Try using a key other than '{key}'.",
                type_="idempotency_error",
            )
        await self.journal.durable()
        response = answers.executed(kept).response()
        response.headers["Idempotent-Replayed"] = "true"
        return response

    async def _get_payment(self, request: web.Request) -> web.StreamResponse:
        payment = self.books.get(request.match_info["id"])
        await self.journal.durable()
        return answers.got(payment).response()

    async def _search(self, request: web.Request) -> web.StreamResponse:
        name, value, limit = requests.search(_query(request))
        newest = self.books.search(name, value)[: -limit - 1 : -1]
        await self.journal.durable()
        return answers.found(newest).response()

    async def _list_payments(self, request: web.Request) -> web.StreamResponse:
        some, more = self.books.payments_page(requests.page(_query(request)))
        await self.journal.durable()
        return answers.listed(request.path, some, more=more).response()

    async def _list_refunds(self, request: web.Request) -> web.StreamResponse:
        some, more = self.books.refunds_page(requests.page(_query(request), of_refunds=True))
        await self.journal.durable()
        return answers.listed(request.path, some, more=more).response()


@web.middleware
async def _answer_in_stripes_way(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        _authenticate(request)
        response = await handler(request)
    except Rejected as error:
        response = answers.rejected(error).response()
    except web.HTTPException as error:
        url = f"{request.method}: {request.path}"
        known = Rejected(f"Unrecognized request ({url}): {error.reason}.", status=error.status)
        response = answers.rejected(known).response()
    response.headers["Request-Id"] = f"req_{secrets.token_hex(7)}"
    return response


def _authenticate(request: web.Request) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.startswith("sk_"):
        raise Rejected("No API key: send 'Authorization: Bearer sk_...'.", status=401)


def _query(request: web.Request) -> dict[str, str]:
    return requests.form(request.rel_url.raw_query_string.encode())


def _fingerprint(path: str, fields: dict[str, str]) -> str:
    """Digest what a key stands for, so that the ledger holds no parameters it has no use for."""
    told = msgspec.json.encode([path, *sorted(fields.items())])
    return blake2b(told, digest_size=16).hexdigest()


def _unusable_key(key: str) -> Rejected:
    if len(key) > _KEY_MAX:
        return Rejected(f"An idempotency key has at most {_KEY_MAX} characters.")
    return Rejected(
        "There is currently another in-progress request using this idempotency key.",
        status=409,
        type_="idempotency_error",
        code="idempotency_key_in_use",
    )
