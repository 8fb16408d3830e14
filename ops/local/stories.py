"""What `make demo` shows of money in trouble: a decline, a lost answer, a refund, an outage."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

import aiohttp
import msgspec
from rich.console import Console

from domain.address import Address
from ops.local import audit, sample, timeline
from ops.local.access import Access
from ops.local.audit import NotSettled
from ops.local.client import Accepted, Client, Event, Item, NewOrder
from ops.local.progress import shown
from ops.local.settling import Observer
from ops.sandbox.cards import Fault
from ops.sandbox.ledger import Settlement, settlements

OUTAGE_S = 10
# More than the failures in a row that open the breaker.
ORDERS_IN_OUTAGE = 8
_REFUNDED_MINOR = 500
_WITHIN_S = 60.0
_POLL_S = 0.2
_OUT_OF_SERVICE = "gateway_out_of_service"

Seen = TypeVar("Seen")


class Story(msgspec.Struct, frozen=True):
    """An order, what is told of it, how it must end and what must be left of its total."""

    title: str
    order: Accepted
    end: str
    kept_minor: int
    shown: bool = True


class _Teller(msgspec.Struct, frozen=True):
    access: Access
    client: Client

    async def place(self, payment_method: str, quantity: int = 1) -> Accepted:
        order = NewOrder(
            email="vera.sommer@example.com",
            currency=sample.CURRENCY,
            lines=[Item(sample.HOT, quantity)],
            payment_method=payment_method,
            ship_to=Address("Vera Sommer", "Hafenstrasse 7", "Kiel", "24103", "DE"),
        )
        return await self.client.place(order, key=f"story-{secrets.token_hex(6)}")

    async def fault(self, **fault: object) -> None:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            await session.post(f"{self.access.gateway_url}/faults", json=fault)


async def tell(observer: Observer, client: Client, console: Console) -> list[str]:
    """Play the stories, show their timelines, and say what did not end as it must."""
    teller = _Teller(observer.access, client)
    lost = await teller.place(Fault.CHARGED_THEN_TIMEOUT.value)
    declined = await teller.place("pm_card_chargeDeclined")
    refunded = await _refund_in_part(teller)
    delayed, sentence = await _outage(teller, console)
    stories = [
        Story("Its card was declined", declined, sample.DECLINED, 0),
        Story("Its charge was made but never answered", lost, sample.PAID, lost.total_minor),
        Story(
            "A part of it was refunded",
            refunded,
            sample.PAID,
            refunded.total_minor - _REFUNDED_MINOR,
        ),
        *(
            Story(
                f"Placed while the gateway was down for {OUTAGE_S} s",
                order,
                sample.PAID,
                order.total_minor,
                shown=number == 0,
            )
            for number, order in enumerate(delayed)
        ),
    ]
    await _rest(observer, stories, console)
    console.print()
    wrong = await _judge(observer, client, stories, console)
    console.print(f"While it waited, `explain` said: {sentence}", markup=False, soft_wrap=True)
    return wrong


async def _refund_in_part(teller: _Teller) -> Accepted:
    order = await teller.place("pm_card_visa", quantity=2)
    await _until(lambda: _has(teller.client, order.id, "order_paid"))
    await teller.client.refund(
        order.id, _REFUNDED_MINOR, reason="requested_by_customer", key=secrets.token_hex(6)
    )
    await _until(lambda: _has(teller.client, order.id, "payment_refunded"))
    return order


async def _outage(teller: _Teller, console: Console) -> tuple[Sequence[Accepted], str]:
    """Take the gateway down and place orders; gives them, and what one of them waited for."""
    with shown(console, f"The gateway is down for {OUTAGE_S} s, orders", ORDERS_IN_OUTAGE) as bar:
        await teller.fault(fault="down", seconds=OUTAGE_S)
        orders: list[Accepted] = []
        for _ in range(ORDERS_IN_OUTAGE):
            orders.append(await teller.place("pm_card_visa"))
            bar.advance()

    async def waiting() -> str | None:
        told = [await teller.client.explain(order.id) for order in orders]
        return next((each.sentence for each in told if each.code == _OUT_OF_SERVICE), None)

    return orders, await _until(waiting)


async def _has(client: Client, order_id: UUID, kind: str) -> bool:
    return any(event.kind == kind for event in await client.events(order_id))


async def _until(see: Callable[[], Awaitable[Seen | None]]) -> Seen:
    """Look until there is something to see; raises NotSettled if there never is."""
    deadline = time.monotonic() + _WITHIN_S
    while not (seen := await see()):
        if time.monotonic() > deadline:
            raise NotSettled(f"A story of the demo did not go on within {_WITHIN_S:.0f} s.")
        await asyncio.sleep(_POLL_S)
    return seen


async def _rest(observer: Observer, stories: Sequence[Story], console: Console) -> None:
    ids, total = [story.order.id for story in stories], len(stories)
    with shown(console, "Healing", total) as bar:
        await audit.rest(observer.database, ids, told=lambda left: bar.reach(total - left))


async def _judge(
    observer: Observer, client: Client, stories: Sequence[Story], console: Console
) -> list[str]:
    """Show the timelines; say which orders did not end as they must, here and at the gateway."""
    ledger = await asyncio.to_thread(settlements, observer.access.sandbox)
    received = await audit.mails(observer.access.inbox_url, observer.mails_before)
    wrong: list[str] = []
    for story in stories:
        events: list[Event] = await client.events(story.order.id)
        end = audit.end(story.order.id, events)
        if story.shown:
            mails = [mail for mail in received if mail.message_id in end.due]
            timeline.show(console, f"{story.title}: order {story.order.id}", events, mails)
            console.print()
        did = ledger.get(str(story.order.id), Settlement())
        if end.label != story.end or did.captured - did.refunded != story.kept_minor:
            wrong.append(
                f"Order {story.order.id} must be {story.end} with {story.kept_minor} kept, but is"
                f" {end.label} with {did.captured} captured and {did.refunded} refunded."
            )
        if did.captures > 1:
            wrong.append(f"Order {story.order.id} was charged {did.captures} times.")
    return wrong
