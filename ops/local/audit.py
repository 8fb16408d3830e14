"""What became of a run's orders: waited for, read back and held against every promise."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import aiohttp
import msgspec

from db import invariants, ledger
from db.engine import Database, connect, transaction
from db.invariants import Unsettled, Violation
from db.ledger import Moved
from domain.status import Status
from domain.task import Notice
from ops.config import Settings
from ops.local.client import Event
from ops.sandbox.ledger import Settlement

# Longer than any planned wait of the saga's first minute, such as the second look-up.
PATIENCE_S = 60.0
_POLL_S = 0.2
# The whole history is looked at, and it may be long.
_STATEMENT_TIMEOUT_S = 60.0
_STUCK_SHOWN_MAX = 10
_MAILS_PAGE = 500

# Money of these is ours to keep.
_CONFIRMED = {Status.PAID.value, Status.SHIPPED.value, Status.DELIVERED.value}
_PAID = ("order_paid", "payment_authorized")
_MAIL_OF = {
    **dict.fromkeys(_PAID, Notice.ORDER_CONFIRMED),
    "order_cancelled": Notice.ORDER_CANCELLED,
}


class NotSettled(Exception):
    """Orders do not come to an end; the message says which, and what they wait for."""


class End(msgspec.Struct, frozen=True):
    """How an order ended; `label` is its status or, if it was cancelled, the reason.

    `due` are the message ids of the mails that its customer must have.
    """

    order_id: UUID
    status: str
    label: str
    settle_s: float | None
    due: frozenset[str]


class Due(msgspec.Struct, frozen=True):
    """What the gateway must have done for an order."""

    order_id: UUID
    status: str
    total_minor: int
    currency: str


class Mail(msgspec.Struct, frozen=True):
    """A mail as the inbox has it."""

    message_id: str
    subject: str
    at: datetime


class _Mails(msgspec.Struct):
    mails: list[Mail]


class _Count(msgspec.Struct):
    count: int


def end(order_id: UUID, events: Sequence[Event]) -> End:
    """Read an order's end from its timeline."""
    status = events[-1].status
    at = {event.kind: event.at for event in events}
    reasons = [event.data["reason"] for event in events if event.kind == "order_cancelled"]
    paid = next((at[kind] for kind in _PAID if kind in at), None)
    return End(
        order_id=order_id,
        status=status,
        label=reasons[-1] if status == Status.CANCELLED and reasons else status,
        settle_s=None if paid is None else (paid - at["order_placed"]).total_seconds(),
        due=frozenset(f"{order_id}.{_MAIL_OF[kind]}@orderflow" for kind in at if kind in _MAIL_OF),
    )


def database(url: str) -> Database:
    """Connect as an auditor, who has time."""
    config = Settings(
        database_url=url,
        statement_timeout_s=_STATEMENT_TIMEOUT_S,
        transaction_timeout_s=2 * _STATEMENT_TIMEOUT_S,
        idle_in_transaction_timeout_s=3 * _STATEMENT_TIMEOUT_S,
        # It answers no requests, but the ladder of timeouts has to rise.
        request_timeout_s=3 * _STATEMENT_TIMEOUT_S,
        slow_statement_ms=0,
    )
    return connect(config, name="orderflow audit", ring=lambda _: None)


async def rest(
    audited: Database,
    order_ids: Sequence[UUID] | None = None,
    *,
    told: Callable[[int], None] = lambda _: None,
    patience_s: float = PATIENCE_S,
) -> None:
    """Wait until orders, all or those named, have no work left; `told` hears how many have some.

    Raises NotSettled once nothing has changed for `patience_s`.
    """
    before, deadline = -1, 0.0
    while True:
        async with transaction(audited) as tx:
            left = await invariants.unsettled(tx, order_ids)
        told(len(left))
        if not left:
            return
        if len(left) != before:
            before, deadline = len(left), time.monotonic() + patience_s
        if time.monotonic() > deadline:
            raise NotSettled(_stuck(left, patience_s))
        await asyncio.sleep(_POLL_S)


def _stuck(left: Sequence[Unsettled], patience_s: float) -> str:
    lines = [
        f"  order {work.order_id}: {work.kind} is {work.state}, attempt {work.attempt}, due"
        f" {work.run_at:%H:%M:%S} UTC{f', last error: {work.last_error}' * bool(work.last_error)}"
        for work in left[:_STUCK_SHOWN_MAX]
    ]
    more = len(left) - len(lines)
    return "\n".join(
        [
            f"{len(left)} orders have work left, and nothing happened for {patience_s:.0f} s:",
            *lines,
            *([f"  and {more} more"] if more else []),
        ]
    )


async def check(audited: Database) -> list[Violation]:
    """Check the invariants that Postgres can tell, for all there is."""
    async with transaction(audited) as tx:
        return await invariants.check(tx)


async def moved(audited: Database, order_ids: Sequence[UUID]) -> dict[UUID, Moved]:
    """Read what our ledger says of orders."""
    async with transaction(audited) as tx:
        return {found.order_id: found for found in await ledger.moved(tx, order_ids)}


def compare(
    settlements: Mapping[str, Settlement], orders: Iterable[Due], ours: Mapping[UUID, Moved]
) -> list[Violation]:
    """Compare what the gateway did with what it must have done, for orders at rest.

    `ours` is what our ledger says of them.
    """
    found: list[Violation] = []
    for order in orders:
        did = settlements.get(str(order.order_id), Settlement())
        booked = ours.get(order.order_id, Moved(order.order_id, captured=0, refunded=0, fees=0))
        wrong = [*_wrong(order, did, booked), *_misbooked(booked, did)]
        found += [Violation(name, str(order.order_id), why) for name, why in wrong]
    return found


def _wrong(order: Due, did: Settlement, booked: Moved) -> Iterable[tuple[str, str]]:
    if did.captures > 1:
        yield "S2 charged at most once", f"captured {did.captures} payments"
    elif did.authorized not in {0, order.total_minor}:
        yield "S2 charged the total", f"charged {did.authorized} of {order.total_minor}"
    if did.currencies - {order.currency.lower()}:
        yield "S2 charged in its currency", f"{order.currency}: {', '.join(did.currencies)}"
    # Of what was paid a part may have been refunded since, of what was held not all captured. What
    # went back by other means the gateway still has, or lost in a dispute.
    confirmed = order.status in _CONFIRMED
    money = (
        did.authorized if confirmed else did.captured - did.refunded - booked.elsewhere + did.held
    )
    if money != (due := order.total_minor if confirmed else 0):
        yield (
            "S3 confirmed if and only if the gateway has the money",
            f"{order.status}: {money} of {due} {order.currency}",
        )


def _misbooked(booked: Moved, did: Settlement) -> Iterable[tuple[str, str]]:
    ours = (booked.captured, booked.refunded, booked.fees)
    theirs = (did.captured, did.refunded, did.fees)
    if ours != theirs:
        sums = "captured %d, refunded %d, fees %d"
        why = f"ours: {sums % ours}; the gateway's: {sums % theirs}"
        yield "S4 our ledger is the gateway's", why


async def mail_count(inbox_url: str) -> int:
    """Count the mails in the inbox."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{inbox_url}/count", raise_for_status=True) as response,
    ):
        return msgspec.json.decode(await response.read(), type=_Count).count


async def mails(inbox_url: str, since: int) -> list[Mail]:
    """Read the mails that came after the first `since`."""
    found: list[Mail] = []
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        while True:
            query = {"since": str(since + len(found)), "limit": str(_MAILS_PAGE)}
            async with session.get(f"{inbox_url}/mails.json", params=query) as response:
                page = msgspec.json.decode(await response.read(), type=_Mails).mails
            if not page:
                return found
            found += page
