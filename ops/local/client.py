"""A client of our public API: what may be repeated is repeated until it is answered."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from domain import claim
from domain.address import Address

# A restarted process is back within seconds; after a minute somebody has to look.
GIVE_UP_AFTER_S = 60.0
# Longer than the server lets a statement or a connection wait.
REQUEST_TIMEOUT_S = 15.0
RETRY_FIRST_S = 0.1
RETRY_MAX_S = 2.0
# What the server answers when the same request may succeed later.
_LATER = {
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
}
IN_PROGRESS = "idempotency_in_progress"


class Item(msgspec.Struct, frozen=True):
    sku: str
    quantity: int


class NewOrder(msgspec.Struct, frozen=True):
    """The body of POST /v1/orders."""

    email: str
    currency: str
    lines: Sequence[Item]
    payment_method: str
    ship_to: Address


class Accepted(msgspec.Struct, frozen=True):
    """An order that was placed; `seconds` is from the request to its answer."""

    id: UUID
    total_minor: int
    currency: str
    seconds: float
    replayed: bool
    body: bytes


class Event(msgspec.Struct, frozen=True):
    """An entry of an order's timeline."""

    version: int
    kind: str
    status: str
    data: Mapping[str, Any]
    at: datetime


class Level(msgspec.Struct, frozen=True):
    """Stock of a SKU."""

    on_hand: int
    reserved: int


class Explanation(msgspec.Struct, frozen=True):
    """What an order waits for."""

    sentence: str
    code: str


class Refused(Exception):
    """The API's definite no, under its stable code."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{detail} ({code})")
        self.code: str = code
        self.detail: str = detail


class PlatformFailed(Exception):
    """The API broke, or did not answer in a minute however often it was asked."""


class _Order(msgspec.Struct):
    id: UUID
    total_minor: int
    currency: str


class _Timeline(msgspec.Struct):
    events: list[Event]


class _Problem(msgspec.Struct):
    code: str
    detail: str


class _Answer(msgspec.Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Speaks to one platform; each method raises Refused for a no, or PlatformFailed."""

    def __init__(
        self, session: aiohttp.ClientSession, admin_api_key: str, give_up_after_s: float
    ) -> None:
        self._session = session
        self._staff = {"Authorization": f"Bearer {admin_api_key}"}
        self._give_up_after_s = give_up_after_s
        # What opens the orders that were placed here, which have no account.
        self._claims = dict[UUID, str]()

    async def put_product(self, sku: str, *, name: str, price_minor: int, currency: str) -> None:
        """Create or replace a product."""
        content = {"name": name, "price_minor": price_minor, "currency": currency}
        await self._ask("PUT", f"/v1/variants/{sku}", content, self._staff)

    async def put(self, path: str, content: object) -> None:
        """Put something as staff."""
        await self._ask("PUT", path, content, self._staff)

    async def patch(self, path: str, content: object) -> None:
        """Change something as staff; whatever it says is so is so if it is said again."""
        await self._ask("PATCH", path, content, self._staff)

    async def put_stock(self, sku: str, on_hand: int) -> Level:
        """Set what is on hand of a product, including what orders hold."""
        answer = await self._ask("PUT", f"/v1/stock/{sku}", {"on_hand": on_hand}, self._staff)
        return msgspec.json.decode(answer.body, type=Level)

    async def stock(self, sku: str) -> Level:
        """Read the stock of a product."""
        answer = await self._ask("GET", f"/v1/stock/{sku}", headers=self._staff)
        return msgspec.json.decode(answer.body, type=Level)

    async def place(self, order: NewOrder, *, key: str) -> Accepted:
        """Place an order; the same key never makes a second one."""
        began = time.perf_counter()
        answer = await self._ask("POST", "/v1/orders", order, {"Idempotency-Key": key})
        seconds = time.perf_counter() - began
        placed = msgspec.json.decode(answer.body, type=_Order)
        if token := answer.headers.get(claim.HEADER):
            self._claims[placed.id] = token
        return Accepted(
            id=placed.id,
            total_minor=placed.total_minor,
            currency=placed.currency,
            seconds=seconds,
            replayed=answer.headers.get("Idempotent-Replayed") == "true",
            body=answer.body,
        )

    async def cancel(self, order_id: UUID) -> None:
        """Cancel an order; doing so again is the same."""
        await self._ask("POST", f"/v1/orders/{order_id}/cancel", headers=self._owner(order_id))

    async def refund(self, order_id: UUID, amount_minor: int, *, reason: str, key: str) -> None:
        """Have a part of a paid order's money go back; the same key never does so twice."""
        content = {"amount_minor": amount_minor, "reason": reason}
        headers = self._staff | {"Idempotency-Key": key}
        await self._ask("POST", f"/v1/orders/{order_id}/refunds", content, headers)

    async def explain(self, order_id: UUID) -> Explanation:
        """Ask what an order waits for."""
        answer = await self._ask("GET", f"/v1/orders/{order_id}/explain", headers=self._staff)
        return msgspec.json.decode(answer.body, type=Explanation)

    async def events(self, order_id: UUID) -> list[Event]:
        """Read an order's timeline, oldest first."""
        headers = self._owner(order_id)
        answer = await self._ask("GET", f"/v1/orders/{order_id}/events", headers=headers)
        return msgspec.json.decode(answer.body, type=_Timeline).events

    def _owner(self, order_id: UUID) -> Mapping[str, str]:
        """Ask as who placed the order; one that was placed elsewhere is there for staff only."""
        token = self._claims.get(order_id)
        return self._staff if token is None else {"Authorization": f"Bearer {token}"}

    async def _ask(
        self,
        method: str,
        path: str,
        content: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Answer:
        """Ask until there is an answer: every request we make may be repeated."""
        body = None if content is None else msgspec.json.encode(content)
        given = {**(headers or {}), **({} if body is None else _JSON)}
        deadline, delay_s = time.monotonic() + self._give_up_after_s, RETRY_FIRST_S
        while True:
            try:
                answer = await self._once(method, path, body, given)
            except (aiohttp.ClientError, TimeoutError) as error:
                trouble = f"{type(error).__name__} {error}".strip()
            else:
                if not _is_later(answer):
                    return _checked(answer)
                trouble = f"HTTP {answer.status}"
            if time.monotonic() > deadline:
                raise PlatformFailed(f"{method} {path} gets no answer: {trouble}.")
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RETRY_MAX_S)

    async def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> _Answer:
        async with self._session.request(method, path, data=body, headers=headers) as response:
            return _Answer(response.status, response.headers, await response.read())


_JSON = {"Content-Type": "application/json"}


def _is_later(answer: _Answer) -> bool:
    if answer.status == HTTPStatus.CONFLICT:
        return _problem(answer).code == IN_PROGRESS
    return answer.status in _LATER


def _checked(answer: _Answer) -> _Answer:
    if answer.status < HTTPStatus.BAD_REQUEST:
        return answer
    problem = _problem(answer)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise PlatformFailed(f"HTTP {answer.status}: {problem.detail} ({problem.code})")
    raise Refused(problem.code, problem.detail)


def _problem(answer: _Answer) -> _Problem:
    try:
        return msgspec.json.decode(answer.body, type=_Problem)
    except msgspec.DecodeError:
        return _Problem(f"http_{answer.status}", answer.body[:200].decode(errors="replace"))


@asynccontextmanager
async def connected(
    url: str, *, admin_api_key: str, connections: int, give_up_after_s: float = GIVE_UP_AFTER_S
) -> AsyncGenerator[Client]:
    """Give a client of the platform at `url`, with so many connections at most."""
    async with aiohttp.ClientSession(
        base_url=url,
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
    ) as session:
        yield Client(session, admin_api_key, give_up_after_s)
