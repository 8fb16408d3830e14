"""What a story does: it orders, asks for things, and lets time pass in the database."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import LiteralString

import aiohttp
import msgspec

from db import tasks
from db.engine import transaction
from db.ids import new_id
from domain.task import NewTask
from ops.bench import books
from ops.sandbox import webhooks
from ops.storm import load
from ops.storm.faults.fault import until
from ops.storm.history import Asked, Entry, Op, Outcome
from ops.storm.load import Load
from ops.storm.matrix.lane import SKU, Lane
from ops.storm.plan import Act, Story

_OK = 200
_AGAIN_S = 0.3
_AT_GATEWAY = {"Authorization": "Bearer sk_test_matrix"}


_BUSY = """
SELECT count(*) FROM tasks
WHERE state = 'running'
   OR state = 'ready' AND (run_at <= now() OR kind IN ('prune', 'reconcile'))
"""


class Unexpected(Exception):
    """A story cannot be told; the message says what came instead."""


class Scene:
    """One order and what is done with it; `front` goes to the broken web process first."""

    def __init__(self, lane: Lane, name: str) -> None:
        self.lane = lane
        self.name = name
        self.order = ""
        self.total = 0
        self.keeps = dict[str, str]()  # what the people of a story were told, and come back with
        self.healthy = lane.clients(lane.url)
        self.front = self.healthy.elsewhere(lane.broken_url, lane.url)
        self._told = 0
        self._story: Story | None = None

    async def place(
        self,
        method: str = "pm_card_visa",
        *,
        capture: str = "automatic",
        on_decline: str = "cancel",
        by: Load | None = None,
    ) -> None:
        """Place the order of this scene."""
        content = self._told_of(method, capture, on_decline)
        wanted = Asked(Op.PLACE, "POST", load.PLACED_AT, self._key, content=content)
        placed = self._answered(await (by or self.healthy).ask(wanted))
        self.order, self.total = str(placed.told("id")), int(placed.told("total_minor"))

    async def check_out(self, cart: str, total_minor: int) -> None:
        """Have staff order the cart, by way of the broken process, and click once more."""
        content = self._told_of("pm_card_visa", "automatic", "cancel")
        sent = {name: content[name] for name in ("email", "payment_method", "ship_to")}
        sent["expected_total_minor"] = total_minor
        wanted = Asked(
            Op.PLACE,
            "POST",
            f"/v1/carts/{cart}/checkout",
            self._key,
            content=content,
            staff=True,
            sent=sent,
        )
        placed = self._answered(await self.front.ask(wanted))
        self.order, self.total = str(placed.told("id")), int(placed.told("total_minor"))
        twice = msgspec.structs.replace(wanted, op=Op.REPLAY, key=f"{self._key}-twice")
        again = self._answered(await self.healthy.ask(twice))
        if again.told("id") != self.order:
            raise Unexpected("The cart was ordered twice.")

    @property
    def _key(self) -> str:
        return f"matrix-{self.name}"

    def _told_of(self, method: str, capture: str, on_decline: str) -> Mapping[str, object]:
        self._story = Story(
            at_s=0.0,
            key=self._key,
            email=f"{self.name}@example.com",
            items=((SKU, 2),),
            payment_method=method,
            capture=capture,
            on_decline=on_decline,
            acts=(),
        )
        return load.order(self._story)

    @property
    def claim_token(self) -> str:
        """What came with the order for who placed it."""
        return self.healthy.claims[self.order]

    async def act(self, op: Op, *, part: float = 1.0, by: Load | None = None) -> Entry:
        """Ask for something that is done with the order."""
        if self._story is None:
            raise Unexpected("There is no order yet.")
        self._told += 1
        asked = load.asked(Act(op, 0.0, part), self._story, self.order, self.total, self._told)
        return self._answered(await (by or self.healthy).ask(asked))

    async def write(self, method: str, path: str, content: Mapping[str, object]) -> None:
        """Have staff write something, by way of the broken web process."""
        key = str(new_id())
        asked = Asked(Op.WRITE, method, path, key, self.order, content, staff=True)
        await self.front.ask(asked)

    async def until(self, *statuses: str) -> None:
        """Wait until the order has one of these statuses."""
        query = "SELECT count(*) FROM orders WHERE id = %s AND status = ANY (%s)"
        await self._until(query, self.order, list(statuses))

    async def until_attempt(self, state: str) -> None:
        """Wait until a payment of the order is in a state."""
        query = "SELECT count(*) FROM payment_attempts WHERE order_id = %s AND state = %s"
        await self._until(query, self.order, state)

    async def _until(self, query: LiteralString, *params: object) -> None:
        async def is_so() -> bool:
            return await self.sql(query, *params) != [(0,)]

        await until(is_so)

    async def sql(self, query: LiteralString, *params: object) -> Sequence[tuple[object, ...]]:
        """Run a statement in the lane's database, e.g. to let time pass in it."""
        async with books.opened(self.lane.env["DATABASE_URL"]) as connection:
            found = await connection.execute(query, params)
            return await found.fetchall() if found.description else ()

    async def schedule(self, task: NewTask) -> None:
        """Write a task that is no order's."""
        async with transaction(self.lane.database) as tx:
            await tasks.schedule(tx, task)

    async def fault(self, kind: str, operation: str) -> None:
        """Have the gateway fail until `no_faults`."""
        content = {"fault": kind, "operation": operation}
        async with self.lane.session.post(self._at_gateway("/faults"), json=content) as response:
            response.raise_for_status()

    async def no_faults(self) -> None:
        """Have the gateway work."""
        async with self.lane.session.delete(self._at_gateway("/faults")) as response:
            response.raise_for_status()

    async def payment(self) -> str:
        """Look up what the gateway calls the order's payment."""
        url = self._at_gateway("/v1/payment_intents?limit=100")
        async with self.lane.session.get(url, headers=_AT_GATEWAY) as response:
            found = (await response.json())["data"]
        return next(one["id"] for one in found if one["metadata"]["order_id"] == self.order)

    async def refund_at_gateway(self) -> None:
        """Give the order's money back there, without the platform, as a person would."""
        url, content = self._at_gateway("/v1/refunds"), {"payment_intent": await self.payment()}
        async with self.lane.session.post(url, data=content, headers=_AT_GATEWAY) as response:
            response.raise_for_status()

    async def tell(self, kind: str, about: Mapping[str, object]) -> None:
        """Send an event of the gateway until it is taken, to the broken web process first."""
        event = {"id": f"evt_{self.name}", "type": kind, "created": int(time.time())}
        body = msgspec.json.encode({**event, "data": {"object": about}})
        secret = self.lane.env["STRIPE_WEBHOOK_SECRETS"]
        urls = [self.lane.broken_url]
        while True:
            url = f"{urls[-1]}/v1/gateways/stripe/webhook"
            urls.append(self.lane.url)
            headers = {"Stripe-Signature": webhooks.signature(secret, body, int(time.time()))}
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self.lane.session.post(url, data=body, headers=headers) as answer:
                    if answer.status == _OK:
                        return
            await asyncio.sleep(_AGAIN_S)

    def _at_gateway(self, path: str) -> str:
        return f"{self.lane.env['STRIPE_API_BASE']}{path}"

    def _answered(self, entry: Entry) -> Entry:
        if entry.outcome is not Outcome.OK:
            last = entry.last
            raise Unexpected(f"{entry.asked.op} was answered {last.status} {last.code}.")
        return entry


async def idle(lane: Lane) -> None:
    """Wait until there is nothing to do now, the periodic work included."""

    async def is_idle() -> bool:
        async with books.opened(lane.env["DATABASE_URL"]) as connection:
            return await (await connection.execute(_BUSY)).fetchone() == (0,)

    await until(is_idle)
