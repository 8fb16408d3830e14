"""Accepting orders: a group of requests becomes orders, lines, timeline and tasks at once."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import checkouts, keys, offers, placed, redemptions, terms
from db.checkouts import Ordered
from db.engine import fetch, run
from db.keys import Answer, Claim, First, IdempotencyKeyReused, Pair, Stored
from db.placement import Known, Placement, Ready, Render, TooManyUnpaid, decide
from db.terms import SETUP, Asked, Setup
from domain.cart import CartClosed
from domain.redemption import Uses
from domain.refusal import NotFound, Refusal
from domain.variant import Offer

__all__ = ["Answer", "Placement", "TooManyUnpaid", "insert_many"]

# A key or a cart that another process holds is waited for; its commit takes tens of milliseconds.
# Should that process hang, halving finds the member within eight such waits, and the others go on.
KEY_WAIT_MS = 500

# Unpaid orders hold stock that others could buy.
UNPAID_MAX = 100

Decided = Ready | Ordered | Refusal


class _Clock(msgspec.Struct):
    now: datetime
    lock_timeout: str
    taxes: bool
    shipping: bool
    automatic: bool
    accounts: list[UUID]


class _Unpaid(msgspec.Struct):
    customer: str
    orders: int


async def insert_many(
    tx: AsyncConnection,
    group: Sequence[Placement],
    render: Render,
    *,
    unpaid_max: int = UNPAID_MAX,
    tax_included: bool = False,
) -> list[Answer | Refusal]:
    """Accept a group of placements; each gets its answer or its refusal, in order.

    A customer has `unpaid_max` unpaid orders at most, whatever other processes accept meanwhile.
    An account that places one is not erased meanwhile, or is none any more. A cart that is ordered
    is closed; prices contain taxes if `tax_included`.

    No two members share scope and key. A key or cart that another transaction is just using is
    waited for. `render` makes the body that is stored and replayed. Run again with the same
    placements, it gives the same answers.
    """
    clock = await _clock(tx, group)
    group, ended = await checkouts.fill(tx, group)
    ended = {**ended, **_gone(group, clock.accounts)}
    catalogue = await offers.find_many(tx, {(i.sku, p.currency) for p in group for i in p.items})
    room = {customer: unpaid_max - n for customer, n in (await _unpaid(tx, group)).items()}
    known = await _known(tx, group, catalogue, clock, tax_included=tax_included)
    # Near a limit, what was accepted before is known first, as it takes no more of it.
    limited = known.terms is not None
    asking = Counter(p.customer for p in group)
    before = await keys.find(
        tx,
        [p.pair for p in group if limited or p.cart or asking[p.customer] > room[p.customer]],
    )
    open_ = [p for p in group if p.order_id not in ended]
    decided = {**ended, **_decide_all(open_, known, render, room, before)}
    ready = [d for d in decided.values() if isinstance(d, Ready)]
    fresh = await keys.take(tx, [_claim(r) for r in ready])
    await placed.insert_many(tx, [r for r in ready if r.placement.pair in fresh])
    stored = await keys.find(tx, [p.pair for p in group if p.pair not in fresh])
    ordered = [d.order_id for d in decided.values() if isinstance(d, Ordered)]
    earlier = await keys.of_orders(tx, ordered)
    return [_answer(p, decided[p.order_id], stored.get(p.pair), earlier) for p in group]


async def _clock(tx: AsyncConnection, group: Sequence[Placement]) -> _Clock:
    """Read what time it is and what there is, waiting for locks no longer than for a key.

    Erasing locks an account before all else of it, and so does this.
    """
    [clock] = await fetch(
        tx,
        _Clock,
        f"""
        SELECT now(), set_config('lock_timeout', %(key_wait_ms)s, true), {SETUP},
               ARRAY(SELECT id FROM users WHERE id = ANY (%(accounts)b::uuid[])
                       AND deleted_at IS NULL ORDER BY id FOR KEY SHARE)
        """,  # noqa: S608 - texts of ours alone
        {
            "key_wait_ms": str(KEY_WAIT_MS),
            "accounts": sorted({p.user_id for p in group if p.user_id is not None}),
        },
    )
    return clock


def _gone(group: Sequence[Placement], accounts: Collection[UUID]) -> dict[UUID, Refusal]:
    """Refuse what accounts ask for that were erased after it was known who asks."""
    return {
        p.order_id: NotFound(f"There is no account {p.user_id}.")
        for p in group
        if p.user_id is not None and p.user_id not in accounts
    }


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


async def _known(
    tx: AsyncConnection,
    group: Sequence[Placement],
    catalogue: Mapping[tuple[str, str], Offer],
    clock: _Clock,
    *,
    tax_included: bool,
) -> Known:
    """Read what of discounts, shipping and taxes there is; a shop without them asks nothing."""
    there = Setup(clock.taxes, clock.shipping, clock.automatic)
    codes = {code for p in group for code in p.codes}
    if not (codes or there.any):
        return Known(catalogue, clock.now, None, Uses({}, {}), tax_included)
    asked = Asked(codes, {p.ship_to.country for p in group}, {p.currency for p in group})
    found = await terms.read(tx, there, asked, tax_included=tax_included, hold=True)
    wanted = [(d, p.redeemer) for p in group for d in found.for_codes(p.codes)]
    uses = await redemptions.hold(tx, wanted) if wanted else Uses({}, {})
    return Known(catalogue, clock.now, found, uses)


def _decide_all(
    group: Sequence[Placement],
    known: Known,
    render: Render,
    room: dict[str, int],
    before: Collection[Pair],
) -> dict[UUID, Decided]:
    """Decide on one after the other; what was accepted before takes no more of what is left."""
    decided: dict[UUID, Decided] = {}
    ordered: dict[UUID, UUID] = {}
    for p in group:
        decided[p.order_id] = found = _decide(p, known, render, room[p.customer], ordered)
        if isinstance(found, Ready) and p.pair not in before:
            _take(found, known, room, ordered)
    return decided


def _decide(
    placement: Placement, known: Known, render: Render, room: int, ordered: Mapping[UUID, UUID]
) -> Decided:
    if placement.cart is not None and placement.cart.id in ordered:
        return Ordered(ordered[placement.cart.id])
    if room <= 0:
        return TooManyUnpaid(has_account=placement.user_id is not None)
    return decide(placement, known, render)


def _take(ready: Ready, known: Known, room: dict[str, int], ordered: dict[UUID, UUID]) -> None:
    """Count what an order takes before the next one is decided on."""
    placement = ready.placement
    room[placement.customer] -= 1
    for applied in ready.applied:
        known.uses.take(applied.discount, placement.redeemer)
    if placement.cart is not None:
        ordered[placement.cart.id] = placement.order_id


def _answer(
    placement: Placement,
    decided: Decided,
    stored: Stored | None,
    earlier: Mapping[UUID, First],
) -> Answer | Refusal:
    claimable = placement.user_id is None
    if stored is not None:
        try:
            keys.refuse_other(stored, placement.fingerprint)
        except IdempotencyKeyReused as reused:
            return reused
        # Our own order, if the commit before this second run had happened after all.
        replayed = stored.order_id != placement.order_id
        return Answer(stored.order_id, stored.status, stored.body, replayed, claimable)
    if isinstance(decided, Ordered):
        # A cart that is ordered twice, under two keys, was clicked twice: one order.
        first = earlier.get(decided.order_id)
        # What an account has, the secret of the cart that it was made of does not show.
        if first is None or first.owner not in {None, placement.user_id}:
            return CartClosed(f"The cart was ordered: GET /v1/orders/{decided.order_id}.")
        claimable = first.owner is None
        return Answer(first.order_id, first.status, first.body, replayed=True, claimable=claimable)
    if isinstance(decided, Refusal):
        return decided
    return Answer(placement.order_id, HTTPStatus.ACCEPTED, decided.body, claimable=claimable)


def _claim(ready: Ready) -> Claim:
    p = ready.placement
    return Claim(p.scope, p.key, p.fingerprint, p.order_id, ready.body)
