"""The clients of a storm: each tells its story, and repeats what it may until it is answered."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle
from uuid import UUID

import aiohttp
import msgspec

from domain import claim
from ops.storm.history import MOVING, Asked, Entry, History, Op, Outcome, Try
from ops.storm.plan import CURRENCY, Act, Delivery, Story

# A process that is frozen holds the connections of many clients, and the other one has to serve on.
_CONNECTIONS = 2000
# Longer than the platform lets a request wait for anything.
_TIMEOUT_S = 5.0
# Some seconds of arrivals. Beyond these a crowd that asks again and again would take the machine
# from the platform, and the proxies with it: who comes later waits before the door.
_AT_THE_DOOR_MAX = 200
# Longer than any two faults, so that in the end everybody has an answer.
GIVE_UP_AFTER_S = 90.0
# For GIVE_UP_AFTER_S each time.
_RECEIPT_ASKED_MAX = 3
_AGAIN_FIRST_S, _AGAIN_MAX_S = 0.2, 6.0
# Money is moved only of an order that has some: as long as it is on its way there, a client looks.
_UNDER_WAY = frozenset({"placed", "backordered", "reserved"})
_LOOK_EVERY_S, _LOOKS_MAX = 2.0, 8
PLACED_AT = "/v1/orders"
_SERVER_ERROR, _REDIRECT = 500, 300
# In every order, with its key: whoever else is shown it sees what is not theirs.
CANARY = "Canary "
_PROBLEM = "application/problem+json"
_IN_PROGRESS = "idempotency_in_progress"
_SHIP_TO = {
    "line1": "1 High Street",
    "city": "London",
    "postcode": "N1 1AA",
    "country": "GB",
}

_OTHER_METHOD = {"payment_method": "pm_card_visa"}
_REASON = {"reason": "requested_by_customer"}


class _Problem(msgspec.Struct):
    code: str = ""


class Load:
    """Tells stories to the web processes in turn."""

    def __init__(
        self, session: aiohttp.ClientSession, urls: Sequence[str], admin: str, history: History
    ) -> None:
        self._session = session
        self._urls = cycle(urls)
        self._admin = admin
        self._history = history
        # What opens the orders that were placed here, by their ids.
        self.claims = dict[str, str]()
        self._door = asyncio.Semaphore(_AT_THE_DOOR_MAX)
        self.placed_s = 0.0  # when the last order so far was answered

    def elsewhere(self, *urls: str) -> "Load":
        """Give the same clients, who go to other addresses."""
        other = Load(self._session, urls, self._admin, self._history)
        other.claims = self.claims
        return other

    async def tell(self, stories: Sequence[Story]) -> None:
        """Tell all stories, each from its time on."""
        async with asyncio.TaskGroup() as clients:
            for story in stories:
                await asyncio.sleep(max(0.0, story.at_s - self._history.now_s()))
                clients.create_task(self._tell(story))

    async def bring(self, deliveries: Sequence[Delivery]) -> None:
        """Have staff receive goods, each delivery at its time and once."""
        for n, delivery in enumerate(deliveries):
            await asyncio.sleep(max(0.0, delivery.at_s - self._history.now_s()))
            content = {"quantity": delivery.quantity, "reason": "By lorry."}
            path = f"/v1/stock/{delivery.sku}/receipts"
            receipt = Asked(Op.WRITE, "POST", path, f"lorry-{n}", content=content, staff=True)
            # The checks count what came in, so it has to be written down; faults are over by then.
            for _ in range(_RECEIPT_ASKED_MAX):
                if (await self.ask(receipt)).outcome is not Outcome.UNKNOWN:
                    break

    async def _tell(self, story: Story) -> None:
        content = order(story)
        place = Asked(Op.PLACE, "POST", PLACED_AT, story.key, content=content)
        async with self._door:
            placed = await self.ask(place)
        self.placed_s = self._history.now_s()
        if placed.outcome is not Outcome.OK:
            return
        order_id, total = str(UUID(placed.told("id"))), int(placed.told("total_minor"))
        if story.peeks and (others := [each for each in self.claims if each != order_id]):
            await self.ask(Asked(Op.PEEK, "GET", f"{PLACED_AT}/{others[-1]}", order=order_id))
        for n, act in enumerate(story.acts):
            await asyncio.sleep(act.after_s)
            if act.op in MOVING:
                await self._settled(order_id)
            await self.ask(asked(act, story, order_id, total, n))

    async def _settled(self, order_id: str) -> None:
        """Wait until an order is paid or has ended, or for as long as a client has patience."""
        look = Asked(Op.READ, "GET", f"/v1/orders/{order_id}", order=order_id)
        for _ in range(_LOOKS_MAX):
            seen = await self.ask(look)
            if seen.outcome is not Outcome.OK or seen.told("status") not in _UNDER_WAY:
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def ask(self, asked: Asked) -> Entry:
        """Ask until there is a definite answer or patience ends; all of it goes into history."""
        n, began_s = self._history.invoke(asked)
        tries: list[Try] = []
        outcome, body, replayed = Outcome.UNKNOWN, "", False
        delay_s = _AGAIN_FIRST_S
        while outcome is Outcome.UNKNOWN and self._history.now_s() < began_s + GIVE_UP_AFTER_S:
            if tries:
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _AGAIN_MAX_S)
            tried, body, replayed = await self._try(asked)
            tries.append(tried)
            outcome = _outcome(tried)
        ended_s = self._history.now_s()
        entry = Entry(n, asked, outcome, tries, began_s, ended_s, body, replayed)
        self._history.end(entry)
        return entry

    async def _try(self, asked: Asked) -> tuple[Try, str, bool]:
        content = asked.content if asked.sent is None else asked.sent
        headers = {"Content-Type": "application/json"} if content is not None else {}
        if asked.key:
            headers["Idempotency-Key"] = asked.key
        if token := self._token(asked):
            headers["Authorization"] = f"Bearer {token}"
        data = None if content is None else msgspec.json.encode(content)
        url = f"{next(self._urls)}{asked.path}"
        try:
            async with self._session.request(
                asked.method, url, data=data, headers=headers
            ) as response:
                body = await response.text()
                if token := response.headers.get(claim.HEADER):
                    self.claims[response.headers["Location"].rpartition("/")[2]] = token
                return (
                    _read(response, body),
                    body,
                    response.headers.get("Idempotent-Replayed") == "true",
                )
        except (aiohttp.ClientError, TimeoutError):
            return Try(0), "", False

    def _token(self, asked: Asked) -> str | None:
        """Ask as staff or as who placed the order; orders are placed by people without account."""
        if asked.staff:
            return self._admin
        return None if asked.path == PLACED_AT else self.claims.get(asked.order or "")


def _read(response: aiohttp.ClientResponse, body: str) -> Try:
    if response.status < _REDIRECT:
        return Try(response.status)
    problem = response.content_type == _PROBLEM
    code = msgspec.json.decode(body, type=_Problem).code if problem else ""
    return Try(response.status, code, problem)


def _outcome(tried: Try) -> Outcome:
    if 0 < tried.status < _REDIRECT:
        return Outcome.OK
    if tried.status == 0 or tried.status >= _SERVER_ERROR or tried.code == _IN_PROGRESS:
        return Outcome.UNKNOWN
    return Outcome.REFUSED


def order(story: Story, *, more: int = 0) -> Mapping[str, object]:
    """Write the body of an order; with `more` it is another one."""
    return {
        "email": story.email,
        "currency": CURRENCY,
        "lines": [{"sku": sku, "quantity": n + more} for sku, n in story.items],
        "payment_method": story.payment_method,
        "ship_to": {"name": f"{CANARY}{story.key}", **_SHIP_TO},
        "capture": story.capture,
        "on_decline": story.on_decline,
    }


def asked(act: Act, story: Story, order_id: str, total_minor: int, n: int) -> Asked:
    """Say what an act asks for."""
    path, key = f"/v1/orders/{order_id}", f"{story.key}-{n}"
    amount = {"amount_minor": max(1, int(act.part * total_minor))}
    post = partial(Asked, act.op, "POST", order=order_id)
    again = partial(post, PLACED_AT)
    staff = partial(post, key=key, staff=True)
    wanted: Mapping[Op, Callable[[], Asked]] = {
        Op.READ: partial(Asked, act.op, "GET", path, order=order_id),
        Op.REPLAY: partial(again, key=story.key, content=order(story)),
        Op.REUSE: partial(again, key=story.key, content=order(story, more=1)),
        Op.KEYLESS: partial(again, content=order(story)),
        Op.CANCEL: partial(post, f"{path}/cancel"),
        Op.METHOD: partial(post, f"{path}/payment-method", key=key, content=_OTHER_METHOD),
        Op.REFUND: partial(staff, f"{path}/refunds", content={**_REASON, **amount}),
        Op.CAPTURE: partial(staff, f"{path}/capture", content=amount),
        Op.VOID: partial(staff, f"{path}/void", content={}),
    }
    return wanted[act.op]()


@asynccontextmanager
async def clients(urls: Sequence[str], admin: str, history: History) -> AsyncGenerator[Load]:
    """Give the clients of the web processes at `urls`."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
    ) as session:
        yield Load(session, urls, admin, history)
