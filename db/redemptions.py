"""Redemptions of discounts: counted under locks, written with the order, given back with it."""

from collections import Counter
from collections.abc import Collection, Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from domain.discount import Discount
from domain.redemption import Customer, Uses

Wanted = Collection[tuple[Discount, Customer]]


class Redemption(msgspec.Struct, frozen=True):
    """What an order was given by a discount."""

    order_id: UUID
    discount_id: UUID
    customer: Customer
    amount_minor: int


class _Count(msgspec.Struct):
    discount_id: UUID
    uses: int


async def hold(tx: AsyncConnection, wanted: Wanted) -> Uses:
    """Count what is left of discounts, which nobody else takes of until the transaction ends.

    Who may have a discount so many times is locked by account and mailbox, and then a discount
    that may be given so many times in all by its row: each in one order everywhere.
    """
    per_customer = [(d, c) for d, c in wanted if d.uses_per_customer_max is not None]
    if per_customer:
        names = {name for _, customer in per_customer for name in _names(customer)}
        await run(
            tx,
            """
            SELECT pg_advisory_xact_lock(hashtextextended(name, 1))
            FROM unnest(%(names)b::text[]) AS c (name)
            """,
            {"names": sorted(names)},
        )
    limited = {d.id for d, _ in wanted if d.uses_max is not None}
    left = await _left(tx, sorted(limited)) if limited else {}
    return Uses(left, await _given(tx, per_customer))


def _names(customer: Customer) -> list[str]:
    names = (("user", customer.user_id), ("mailbox", customer.mailbox))
    return [f"{kind} {value}" for kind, value in names if value is not None]


async def peek(tx: AsyncConnection, wanted: Wanted) -> Uses:
    """Count what is left of discounts now; it may be less as soon as it has been read."""
    counts = await fetch(
        tx,
        _Count,
        """
        SELECT id, uses_max - uses FROM discounts
        WHERE id = ANY (%(ids)b::uuid[]) AND uses_max IS NOT NULL
        """,
        {"ids": sorted({discount.id for discount, _ in wanted})},
    )
    per_customer = [(d, c) for d, c in wanted if d.uses_per_customer_max is not None]
    return Uses({c.discount_id: c.uses for c in counts}, await _given(tx, per_customer))


async def _left(tx: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, int]:
    counts = await fetch(
        tx,
        _Count,
        """
        SELECT id, uses_max - uses FROM discounts
        WHERE id = ANY (%(ids)b::uuid[]) ORDER BY id FOR NO KEY UPDATE
        """,
        {"ids": ids},
    )
    return {count.discount_id: count.uses for count in counts}


async def _given(
    tx: AsyncConnection, wanted: Sequence[tuple[Discount, Customer]]
) -> dict[tuple[UUID, Customer], int]:
    if not wanted:
        return {}
    pairs = list({(discount.id, customer) for discount, customer in wanted})
    counts = await fetch(
        tx,
        int,
        """
        SELECT used.orders
        FROM unnest(%(discount_id)b::uuid[], %(user_id)b::uuid[], %(mailbox)b::text[])
          WITH ORDINALITY AS w (discount_id, user_id, mailbox, n)
        CROSS JOIN LATERAL (
            SELECT count(*) AS orders FROM (
                SELECT order_id FROM discount_redemptions r
                WHERE r.discount_id = w.discount_id AND r.mailbox = w.mailbox
                  AND given_back_at IS NULL
                UNION
                SELECT order_id FROM discount_redemptions r
                WHERE r.discount_id = w.discount_id AND r.user_id = w.user_id
                  AND given_back_at IS NULL AND r.user_id IS NOT NULL
            ) AS one
        ) AS used ORDER BY n
        """,
        {
            "discount_id": [discount_id for discount_id, _ in pairs],
            "user_id": [customer.user_id for _, customer in pairs],
            "mailbox": [customer.mailbox for _, customer in pairs],
        },
    )
    return dict(zip(pairs, counts, strict=True))


async def insert(tx: AsyncConnection, made: Sequence[Redemption]) -> None:
    """Write what orders were given, and count it where it is limited; `hold` came before."""
    if not made:
        return
    await run(
        tx,
        """
        INSERT INTO discount_redemptions (order_id, discount_id, mailbox, user_id, amount_minor)
        SELECT * FROM unnest(%(order_id)b::uuid[], %(discount_id)b::uuid[], %(mailbox)b::text[],
                             %(user_id)b::uuid[], %(amount_minor)b::bigint[])
        """,
        {
            "order_id": [one.order_id for one in made],
            "discount_id": [one.discount_id for one in made],
            "mailbox": [one.customer.mailbox for one in made],
            "user_id": [one.customer.user_id for one in made],
            "amount_minor": [one.amount_minor for one in made],
        },
    )
    await _count(tx, Counter(one.discount_id for one in made), sign=1)


async def give_back(tx: AsyncConnection, order_ids: Sequence[UUID]) -> None:
    """Have discounts of cancelled orders be there for others; again is the same."""
    if not order_ids:
        return
    counts = await fetch(
        tx,
        _Count,
        """
        WITH back AS (
            UPDATE discount_redemptions SET given_back_at = now()
            WHERE order_id = ANY (%(ids)b::uuid[]) AND given_back_at IS NULL
            RETURNING discount_id
        )
        SELECT discount_id, count(*) FROM back GROUP BY discount_id
        """,
        {"ids": list(order_ids)},
    )
    if counts:
        ids = [count.discount_id for count in counts]
        # In one order, as everywhere; staff who sets a limit waits for this, then counts.
        await _left(tx, sorted(ids))
        await _count(tx, {count.discount_id: count.uses for count in counts}, sign=-1)


async def _count(
    tx: AsyncConnection, uses: "Counter[UUID] | dict[UUID, int]", *, sign: int
) -> None:
    await run(
        tx,
        """
        UPDATE discounts d SET uses = d.uses + w.uses
        FROM unnest(%(id)b::uuid[], %(uses)b::bigint[]) AS w (id, uses)
        WHERE d.id = w.id AND d.uses_max IS NOT NULL
        """,
        {"id": list(uses), "uses": [sign * n for n in uses.values()]},
    )
