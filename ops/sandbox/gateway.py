"""The payment gateway's HTTP side: Stripe's paths, keys and idempotency over an account."""

import secrets
import time
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path

import msgspec
from aiohttp import web

from ops.sandbox import answers, decisions, faults, forms, requests
from ops.sandbox.account import Account
from ops.sandbox.authentication import Authentication
from ops.sandbox.board import Board, Fault
from ops.sandbox.entries import Entry
from ops.sandbox.faults import Handler
from ops.sandbox.forms import Rejected
from ops.sandbox.journal import Journal
from ops.sandbox.lookups import Lookups
from ops.sandbox.requests import Request
from ops.sandbox.standing import Standing
from ops.sandbox.webhooks import Endpoint, Webhooks

# Far above any form the adapters of this world send.
_BODY_MAX = 64 * 1024
_KEY_MAX = 255
_PAYMENTS = "/v1/payment_intents"
_OPERATIONS = {
    ("POST", _PAYMENTS): "charge",
    ("POST", f"{_PAYMENTS}/{{id}}/capture"): "capture",
    ("POST", f"{_PAYMENTS}/{{id}}/cancel"): "void",
    ("POST", "/v1/refunds"): "refund",
    ("GET", f"{_PAYMENTS}/{{id}}"): "get",
    ("GET", "/v1/refunds/{id}"): "get",
    ("GET", f"{_PAYMENTS}/search"): "search",
    ("GET", _PAYMENTS): "search",
    ("GET", "/v1/refunds"): "search",
    ("GET", "/v1/charges"): "search",
}

_Read = Callable[[dict[str, str], str], Request]


class Gateway:
    """One merchant's account behind its paths."""

    def __init__(self, folder: Path, endpoint: Endpoint | None = None) -> None:
        """Open the account. Raises JournalUnusable if it cannot be read."""
        self._account = Account(folder)
        self._board = Board()
        self._in_flight: set[str] = set()
        self._spared = faults.Spared()
        self._webhooks = Webhooks(self._account, self._board, endpoint, folder)

    @property
    def journal(self) -> Journal:
        """The ledger's file."""
        return self._account.journal

    def close(self) -> None:
        """Let another process open the files."""
        self._account.close()
        self._webhooks.close()

    def application(self) -> web.Application:
        """Make the HTTP application."""
        app = web.Application(middlewares=[self._misbehave], client_max_size=_BODY_MAX)
        app.add_routes(
            [
                web.post(_PAYMENTS, self._executing(requests.charge)),
                web.post(f"{_PAYMENTS}/{{id}}/capture", self._executing(requests.capture)),
                web.post(f"{_PAYMENTS}/{{id}}/cancel", self._executing(requests.void)),
                web.post("/v1/refunds", self._executing(requests.refund)),
                web.post("/v1/disputes", self._executing(requests.dispute)),
                *Lookups(self._account, self._board).routes(),
                *Authentication(self._account).routes(),
                web.get("/faults", self._show_faults),
                web.post("/faults", self._post_fault),
                web.delete("/faults", self._clear_faults),
            ]
        )
        app.cleanup_ctx.append(self._webhooks.running)
        return app

    def _executing(self, read: _Read) -> Handler:
        async def execute(request: web.Request) -> web.StreamResponse:
            return await self._execute(request, read)

        return execute

    async def _execute(self, request: web.Request, read: _Read) -> web.StreamResponse:
        key = request.headers.get("Idempotency-Key", "")
        body = await request.read()
        fields = forms.parsed(body)
        fingerprint = _fingerprint(request.path, fields)
        if key in self._in_flight or len(key) > _KEY_MAX:
            raise _unusable_key(key)
        kept = self._account.books.by_key.get(key)
        if kept and kept[0].fingerprint != fingerprint:
            raise _other_parameters(key)
        asked = read(fields, _id(request))
        if kept:
            return await self._replay(*kept, asked)
        if key:
            self._in_flight.add(key)
        try:
            await self._spared.before(asked, key)
            breaks = request.get(faults.BREAKS, False)
            entry, stands = self._decide(asked, key, fingerprint, breaks=breaks)
            await self.journal.durable()
        finally:
            self._in_flight.discard(key)
        response = answers.executed(entry, stands, asked.expand).response()
        return await faults.spoiled(request, asked, response)

    def _decide(
        self, asked: Request, key: str, fingerprint: str, *, breaks: bool
    ) -> tuple[Entry, Standing]:
        """Decide and record in one go, so that no other request comes between."""
        self._account.catch_up()
        at = int(time.time())
        if breaks:
            entry: Entry = decisions.failure(key=key, fingerprint=fingerprint, at=at)
        else:
            books = self._account.books
            entry = decisions.decide(books, asked, key=key, fingerprint=fingerprint, at=at)
        return entry, self._account.record(entry)

    async def _replay(self, entry: Entry, stands: Standing, asked: Request) -> web.StreamResponse:
        await self.journal.durable()
        response = answers.executed(entry, stands, asked.expand).response()
        response.headers["Idempotent-Replayed"] = "true"
        return response

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._board and request.path != "/faults":
            resource = request.match_info.route.resource
            path = resource.canonical if resource is not None else ""
            operation = _OPERATIONS.get((request.method, path), "other")
            if fault := self._board.strike(operation):
                answer = partial(_answered_in_stripes_way, handler=handler)
                return await faults.strike(fault, request, answer)
        return await _answered_in_stripes_way(request, handler)

    async def _show_faults(self, _request: web.Request) -> web.StreamResponse:
        shown = [msgspec.to_builtins(each) for each in self._board.shown()]
        return answers.json(200, {"faults": shown}).response()

    async def _post_fault(self, request: web.Request) -> web.StreamResponse:
        try:
            self._board.post(msgspec.json.decode(await request.read(), type=Fault))
        except msgspec.DecodeError as error:
            raise Rejected(f"This is no fault: {error}") from error
        return await self._show_faults(request)

    async def _clear_faults(self, request: web.Request) -> web.StreamResponse:
        self._board.clear()
        return await self._show_faults(request)


async def _answered_in_stripes_way(request: web.Request, handler: Handler) -> web.StreamResponse:
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
    """Refuse who has no key; the board needs none, and a customer shows the client secret."""
    if request.path == "/faults" or request.path.endswith("/authenticate"):
        return
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.startswith("sk_"):
        raise Rejected("No API key: send 'Authorization: Bearer sk_...'.", status=401)


def _id(request: web.Request) -> str:
    return request.match_info.get("id", "")


def _fingerprint(path: str, fields: dict[str, str]) -> str:
    """Digest what a key stands for, so that the ledger holds no parameters it has no use for."""
    told = msgspec.json.encode([path, *sorted(fields.items())])
    return blake2b(told, digest_size=16).hexdigest()


def _other_parameters(key: str) -> Rejected:
    return Rejected(
        "Keys for idempotent requests can only be used with the same parameters they were"
        f" first used with. Try using a key other than '{key}'.",
        type_="idempotency_error",
    )


def _unusable_key(key: str) -> Rejected:
    if len(key) > _KEY_MAX:
        return Rejected(f"An idempotency key has at most {_KEY_MAX} characters.")
    return Rejected(
        "There is currently another in-progress request using this idempotency key.",
        status=409,
        type_="idempotency_error",
        code="idempotency_key_in_use",
    )
