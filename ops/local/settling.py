"""A run's end: its orders are waited for, read back over the API and audited."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import msgspec
from rich.console import Console

from db.engine import Database
from ops.local import audit
from ops.local.access import Access
from ops.local.audit import Due, End, Mail
from ops.local.client import Accepted, Client, Event
from ops.local.crowd import each
from ops.local.progress import shown
from ops.sandbox.ledger import settlements

_READ_AT_ONCE = 8


class Settled(msgspec.Struct, frozen=True):
    """What became of placed orders, in their order; `wrong` says what should not be."""

    timelines: Sequence[Sequence[Event]]
    ends: Sequence[End]
    mails: Sequence[Mail]
    wrong: Sequence[str]


class Observer(msgspec.Struct, frozen=True):
    """Looks at a platform from behind: its database, ledger of payments and inbox."""

    access: Access
    database: Database
    mails_before: int


@asynccontextmanager
async def observing(access: Access) -> AsyncGenerator[Observer]:
    """Observe a platform; mails count from now on."""
    database = audit.database(access.database_url)
    try:
        yield Observer(access, database, await audit.mail_count(access.inbox_url))
    finally:
        await database.engine.dispose()


async def wait(observer: Observer, placed: Sequence[Accepted], console: Console) -> None:
    """Wait until orders are at rest. Raises NotSettled."""
    total = len(placed)
    with shown(console, "Settling orders", total) as progress:
        await audit.rest(
            observer.database,
            [order.id for order in placed],
            told=lambda left: progress.reach(total - left),
        )


async def read_back(
    observer: Observer, client: Client, placed: Sequence[Accepted], console: Console
) -> Settled:
    """Read what became of orders at rest, and find what is wrong with it."""
    with shown(console, "Reading timelines", len(placed)) as progress:

        async def read(order: Accepted) -> list[Event]:
            events = await client.events(order.id)
            progress.advance()
            return events

        timelines = await each(placed, read, at_once=_READ_AT_ONCE)
    ends = [audit.end(o.id, events) for o, events in zip(placed, timelines, strict=True)]
    received = await audit.mails(observer.access.inbox_url, observer.mails_before)
    ours = {str(order.id) for order in placed}
    mails = [mail for mail in received if mail.message_id.partition(".")[0] in ours]
    came = {mail.message_id for mail in mails}
    missing = [message_id for end in ends for message_id in sorted(end.due - came)]
    return Settled(
        timelines=timelines,
        ends=ends,
        mails=mails,
        wrong=[
            *(f"Mail {message_id} has not come." for message_id in missing),
            *await _broken(observer, placed, ends),
        ],
    )


async def _broken(observer: Observer, placed: Sequence[Accepted], ends: Sequence[End]) -> list[str]:
    """Check the invariants, in Postgres for all there is, at the gateway for these orders."""
    due = [
        Due(order.id, end.status, order.total_minor, order.currency)
        for order, end in zip(placed, ends, strict=True)
    ]
    ledger = await asyncio.to_thread(settlements, observer.access.sandbox)
    ours = await audit.moved(observer.database, [order.id for order in placed])
    found = [*await audit.check(observer.database), *audit.compare(ledger, due, ours)]
    return [f"{broken.invariant}: {broken.subject}: {broken.detail}." for broken in found]
