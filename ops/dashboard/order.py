"""One order: why it is where it is, what may be done with it, its story, and any moment of it."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from db import audit, dossiers, events, explanations, orders, payments, situations
from db.audit import Filter
from db.dossiers import ENTRIES_MAX
from db.events import TimelineEntry
from db.situations import Situation
from domain.action import actions
from domain.attempt import Window
from domain.explain import explain
from domain.explanation import Explanation
from domain.funds import OPEN, Payable, funds
from domain.notice import extras
from domain.past import Past, fold, happened
from domain.payment import Capture
from domain.status import Status
from ops.config import Settings
from ops.dashboard import surroundings
from ops.dashboard.page import Page
from ops.dashboard.story import Entry, actor_ids, weave

# What an explanation names as its safe action.
_OPERATION = re.compile(r"(?P<method>POST|PUT) (?P<path>/v1/\S+)")
# These need no more than a click.
_BARE = re.compile(r"POST /v1/(orders/[^/]+/cancel|tasks/[0-9]+/replay)")
# Where the form of an operation that asks for more is: on this page, or on another.
_PLACES: Mapping[str, str] = {
    "resolve": "#resolve",
    "write-off": "#write-off",
    "capture": "#capture",
}


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which order, and as of which of its events."""

    order_id: UUID
    at: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class Remedy(msgspec.Struct, frozen=True):
    """The one safe action: an operation that a click sends, or a place to go to, or a word."""

    word: str
    operation: str = ""
    href: str = ""


# Of several SKUs none comes first: each line leads to its own.
_LINES = Remedy("Stock of its lines", href="#lines")


def remedy(told: Explanation) -> Remedy:
    """Make a button, a link or a word of what an explanation advises."""
    action = told.action
    if _BARE.fullmatch(action):
        return Remedy(f"{action.rpartition('/')[2].capitalize()} it", operation=action)
    named = _OPERATION.fullmatch(action)
    if named is None:
        return Remedy(action)
    kind, _, rest = named["path"].removeprefix("/v1/").partition("/")
    word = rest.rpartition("/")[2]
    if kind == "stock":
        sku = rest.partition("/")[0]
        return _LINES if sku == "{sku}" else Remedy(f"Stock of {sku}", href=f"/ops/stock/{sku}")
    if kind == "queues":
        return Remedy(f"Queue {word}", href="/ops/queues")
    if kind == "gateways":
        return Remedy("Payments desk", href="/ops/payments#breakers")
    place = _PLACES.get(word)
    return (
        Remedy(action) if place is None else Remedy(word.replace("-", " ").capitalize(), href=place)
    )


class Allowed(msgspec.Struct, frozen=True):
    """What may be done with an order now; `refund_max_minor` is what may yet go back of it."""

    actions: frozenset[str]
    refund_max_minor: int


def allowed(situation: Situation, config: Settings, *, limit_minor: int | None) -> Allowed:
    """Give what may be done by who gives back `limit_minor` of an order at most, if anything."""
    window = Window(situation.now, timedelta(seconds=config.gateway_window_s))
    found = actions(situation.payable, situation.work, window, refund_max_minor=limit_minor)
    sums = funds(situation.payable.attempts)
    left = sums.refundable
    if limit_minor is not None:
        left = min(left, limit_minor - (sums.captured - sums.refundable))
    return Allowed(frozenset(action.value for action in found), left)


async def show(tx: AsyncConnection, asked: Asked) -> Mapping[str, object]:
    """Read all there is about an order; raises NotFound."""
    config = surroundings.config()
    facts = await explanations.get(tx, asked.order_id, config)
    order = await orders.get(tx, asked.order_id)
    told = await events.page(tx, asked.order_id)
    situation = (await situations.find_many(tx, [asked.order_id]))[asked.order_id]
    limit_minor = config.support_refund_max_minor
    explained = explain(facts)
    return {
        "order": order,
        "beside": extras(
            order.currency,
            discount_minor=order.discount_minor,
            shipping_minor=order.shipping_minor,
            tax_minor=order.tax_minor,
            tax_included=order.tax_included,
        ),
        "explained": explained,
        "remedy": remedy(explained),
        "money": funds(situation.payable.attempts),
        "open": _open(situation.payable),
        "mails": await dossiers.mails(tx, asked.order_id),
        "allowed": allowed(situation, config, limit_minor=None),
        "allowed_support": allowed(situation, config, limit_minor=limit_minor),
        "support_max_minor": limit_minor,
        # What a cancelled order took is given back.
        "sources": {}
        if order.status == Status.CANCELLED
        else await dossiers.sources(tx, asked.order_id),
        "attempts": [
            msgspec.structs.replace(attempt, client_secret=None)
            for attempt in await payments.page(tx, asked.order_id)
        ],
        "past": past(told, asked.at, manual=order.capture == Capture.MANUAL.value),
        "past_event": _event(told, asked.at),
        "story": await _story(tx, asked.order_id, told),
        "last_version": told[-1].version if told else 0,
    }


def past(told: Sequence[TimelineEntry], at: int | None, *, manual: bool) -> Past | None:
    """Fold the timeline up to an event; None if nobody asks for one."""
    if at is None:
        return None
    until = [happened(one.kind, one.status, one.data) for one in told if one.version <= at]
    return fold(until, manual=manual)


def _event(told: Sequence[TimelineEntry], at: int | None) -> TimelineEntry | None:
    return next((one for one in reversed(told) if at is not None and one.version <= at), None)


def _open(payable: Payable) -> str:
    """Name the operation whose outcome is open; nothing if there is none."""
    attempt = payable.unsettled()
    return attempt.kind.value if attempt and attempt.state in OPEN else ""


async def _story(
    tx: AsyncConnection, order_id: UUID, told: Sequence[TimelineEntry]
) -> Sequence[Entry]:
    wanted = Filter(target_kind="order", target=str(order_id))
    entries = await audit.page(tx, wanted, before=None, limit=ENTRIES_MAX)
    names = await dossiers.names(tx, actor_ids(told, entries))
    return weave(
        told,
        await dossiers.tasks(tx, order_id),
        await payments.page(tx, order_id),
        await dossiers.mails(tx, order_id),
        entries,
        names,
    )


PAGE = Page("/ops/orders/{order_id:uuid}", "Order", "order.html", show, Asked)
