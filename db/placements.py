"""Accepting orders: a group of requests becomes orders, lines, timeline and tasks at once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import ClassVar
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import events, keys, offers, tasks
from db.engine import count_after_commit, fetch, run
from db.keys import Answer, Claim, IdempotencyKeyReused, Stored
from db.orders import OrderView
from domain import order
from domain.actor import Actor
from domain.address import Address
from domain.order import RESERVE_FOR_S, Change
from domain.payment import Capture, OnDecline
from domain.refusal import Refusal
from domain.stock import Line
from domain.variant import Item, Offer, price

# A key that another process holds is waited for; its commit takes tens of milliseconds. Should that
# process hang, halving finds the member within eight such waits, and the others go on.
KEY_WAIT_MS = 500

# Unpaid orders hold stock that others could buy.
UNPAID_MAX = 100


class TooManyUnpaid(Refusal):
    """A customer holds stock for as many unpaid orders as one may."""

    code: ClassVar[str] = "too_many_unpaid_orders"


class Placement(msgspec.Struct, frozen=True):
    """A request to place an order; `scope` and `key` make it happen once."""

    order_id: UUID
    scope: str
    key: str
    fingerprint: bytes
    email: str
    currency: str
    items: Sequence[Item]
    payment_method: str
    ship_to: Address
    traceparent: str | None = None
    capture: Capture = Capture.AUTOMATIC
    on_decline: OnDecline = OnDecline.CANCEL
    reserve_for_s: int = RESERVE_FOR_S
    allow_split: bool = False
    user_id: UUID | None = None  # the account that places it, if one does
    actor: Actor | None = None

    @property
    def pair(self) -> tuple[str, str]:
        """Give scope and key."""
        return self.scope, self.key

    @property
    def customer(self) -> str:
        """Give what tells customers apart: mail goes to one mailbox in whatever case.

        And by whom it is named: anybody can name the address of somebody else.
        """
        return f"{self.user_id or ''} {self.email.lower()}"


class _Clock(msgspec.Struct):
    now: datetime
    lock_timeout: str


class _Unpaid(msgspec.Struct):
    customer: str
    orders: int


class _Ready(msgspec.Struct):
    placement: Placement
    change: Change
    lines: tuple[Line, ...]
    body: bytes


Render = Callable[[OrderView], bytes]


async def insert_many(
    tx: AsyncConnection,
    group: Sequence[Placement],
    render: Render,
    *,
    unpaid_max: int = UNPAID_MAX,
) -> list[Answer | Refusal]:
    """Accept a group of placements; each gets its answer or its refusal, in order.

    A customer has `unpaid_max` unpaid orders at most, whatever other processes accept meanwhile.

    No two members share scope and key. A key that another transaction is just using is
    waited for. `render` makes the body that is stored and replayed. Run again with the same
    placements, it gives the same answers.
    """
    catalogue = await offers.find_many(tx, {(i.sku, p.currency) for p in group for i in p.items})
    patience = "SELECT now(), set_config('lock_timeout', %(key_wait_ms)s, true)"
    [clock] = await fetch(tx, _Clock, patience, {"key_wait_ms": str(KEY_WAIT_MS)})
    room = {customer: unpaid_max - n for customer, n in (await _unpaid(tx, group)).items()}
    # Near the limit, what was accepted before is known first, as it takes no more of it.
    wanted = Counter(p.customer for p in group)
    before = await keys.find(tx, [p.pair for p in group if wanted[p.customer] > room[p.customer]])
    decided: dict[UUID, _Ready | Refusal] = {}
    for p in group:
        decided[p.order_id] = found = _decide(p, catalogue, clock.now, render, room[p.customer])
        room[p.customer] -= isinstance(found, _Ready) and p.pair not in before
    ready = [d for d in decided.values() if isinstance(d, _Ready)]
    fresh = await keys.take(tx, [_claim(r) for r in ready])
    await _insert(tx, [r for r in ready if r.placement.pair in fresh])
    stored = await keys.find(tx, [p.pair for p in group if p.pair not in fresh])
    return [_answer(p, decided[p.order_id], stored.get(p.pair)) for p in group]


async def _unpaid(tx: AsyncConnection, group: Sequence[Placement]) -> dict[str, int]:
    """Count the unpaid orders of customers, whom no other transaction counts until this ends."""
    customers = sorted({placement.customer for placement in group})
    await run(
        tx,
        """
        SELECT pg_advisory_xact_lock(hashtextextended(customer, 0))
        FROM unnest(%(customers)b::text[]) AS c (customer)
        """,
        {"customers": customers},
    )
    rows = await fetch(
        tx,
        _Unpaid,
        """
        SELECT concat(user_id, ' ', lower(email)), count(*) FROM orders
        WHERE lower(email) = ANY (%(emails)b::text[])
          AND status IN ('placed', 'backordered', 'reserved')
        GROUP BY 1
        """,
        {"emails": sorted({placement.email.lower() for placement in group})},
    )
    return dict.fromkeys(customers, 0) | {row.customer: row.orders for row in rows}


def _decide(
    placement: Placement,
    catalogue: Mapping[tuple[str, str], Offer],
    now: datetime,
    render: Render,
    room: int,
) -> _Ready | Refusal:
    if room <= 0:
        return TooManyUnpaid(
            "Too many orders of this customer are not paid yet: pay or cancel some of them.",
            field="email",
        )
    try:
        lines, total = price(placement.items, catalogue, placement.currency)
    except Refusal as refusal:
        return refusal
    change = order.place(placement.order_id, lines, total, placement.traceparent)
    record = OrderView(
        id=placement.order_id,
        email=placement.email,
        status=change.order.status.value,
        cancel_reason=None,
        currency=total.currency,
        total_minor=total.minor,
        capture=placement.capture.value,
        on_decline=placement.on_decline.value,
        allow_split=placement.allow_split,
        reserved_until=None,
        expected_on=None,
        ship_to=placement.ship_to,
        version=change.order.version,
        created_at=now,
        updated_at=now,
        lines=lines,
    )
    return _Ready(placement, change, lines, render(record))


def _answer(
    placement: Placement, decided: _Ready | Refusal, stored: Stored | None
) -> Answer | Refusal:
    if stored is not None:
        try:
            keys.refuse_other(stored, placement.fingerprint)
        except IdempotencyKeyReused as reused:
            return reused
        # Our own order, if the commit before this second run had happened after all.
        replayed = stored.order_id != placement.order_id
        return Answer(stored.order_id, stored.status, stored.body, replayed)
    if isinstance(decided, Refusal):
        return decided
    return Answer(placement.order_id, HTTPStatus.ACCEPTED, decided.body)


def _claim(ready: _Ready) -> Claim:
    p = ready.placement
    return Claim(p.scope, p.key, p.fingerprint, p.order_id, ready.body)


async def _insert(tx: AsyncConnection, accepted: Sequence[_Ready]) -> None:
    if not accepted:
        return
    await _insert_orders(tx, accepted)
    await _insert_lines(tx, accepted)
    changes = [r.change for r in accepted]
    actors = {r.placement.order_id: r.placement.actor for r in accepted if r.placement.actor}
    await events.append(tx, changes, actors)
    await tasks.insert(tx, changes)
    count_after_commit(tx, [(change.order.status, 0.0) for change in changes])


async def _insert_orders(tx: AsyncConnection, accepted: Sequence[_Ready]) -> None:
    await run(
        tx,
        """
        INSERT INTO orders (id, email, status, currency, total_minor, payment_method, ship_to,
                            version, traceparent, capture, on_decline, reserve_for_s, user_id,
                            allow_split)
        SELECT id, email, status, currency, total_minor, payment_method, ship_to::jsonb,
               version, traceparent, capture, on_decline, reserve_for_s, user_id, allow_split
        FROM unnest(%(id)b::uuid[], %(email)b::text[], %(status)b::text[], %(currency)b::text[],
                    %(total_minor)b::bigint[], %(payment_method)b::text[], %(ship_to)b::text[],
                    %(version)b::int[], %(traceparent)b::text[], %(capture)b::text[],
                    %(on_decline)b::text[], %(reserve_for_s)b::int[], %(user_id)b::uuid[],
                    %(allow_split)b::bool[])
          AS o (id, email, status, currency, total_minor, payment_method, ship_to, version,
                traceparent, capture, on_decline, reserve_for_s, user_id, allow_split)
        """,
        {
            "id": [r.placement.order_id for r in accepted],
            "email": [r.placement.email for r in accepted],
            "status": [r.change.order.status.value for r in accepted],
            "currency": [r.placement.currency for r in accepted],
            "total_minor": [r.change.order.total.minor for r in accepted],
            "payment_method": [r.placement.payment_method for r in accepted],
            "ship_to": [msgspec.json.encode(r.placement.ship_to).decode() for r in accepted],
            "version": [r.change.order.version for r in accepted],
            "traceparent": [r.placement.traceparent for r in accepted],
            "capture": [r.placement.capture.value for r in accepted],
            "on_decline": [r.placement.on_decline.value for r in accepted],
            "reserve_for_s": [r.placement.reserve_for_s for r in accepted],
            "allow_split": [r.placement.allow_split for r in accepted],
            "user_id": [r.placement.user_id for r in accepted],
        },
    )


async def _insert_lines(tx: AsyncConnection, accepted: Sequence[_Ready]) -> None:
    rows = [(r.placement.order_id, n, line) for r in accepted for n, line in enumerate(r.lines, 1)]
    await run(
        tx,
        """
        INSERT INTO order_lines (order_id, line, sku, quantity, unit_minor, name, tax_class)
        SELECT * FROM unnest(%(order_id)b::uuid[], %(line)b::int[], %(sku)b::text[],
                             %(quantity)b::int[], %(unit_minor)b::bigint[], %(name)b::text[],
                             %(tax_class)b::text[])
        """,
        {
            "order_id": [order_id for order_id, _, _ in rows],
            "line": [n for _, n, _ in rows],
            "sku": [line.sku for _, _, line in rows],
            "quantity": [line.quantity for _, _, line in rows],
            "unit_minor": [line.unit_minor for _, _, line in rows],
            "name": [line.name for _, _, line in rows],
            "tax_class": [line.tax_class for _, _, line in rows],
        },
    )
