"""The ledger: what is booked of an order, and what its entries come to."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tables
from db.engine import fetch, run
from domain.funds import Attempt
from domain.ledger import book
from domain.payment import Succeeded

# Five hundred captures and refunds of one order; the sums are of all entries anyway.
ENTRIES_MAX = 1000


class LedgerEntry(msgspec.Struct, frozen=True):
    """One entry; those of a transaction, a payment attempt or its reversal, sum to zero."""

    transaction_id: UUID
    account: str
    amount_minor: int
    currency: str
    created_at: datetime


class Moved(msgspec.Struct, frozen=True):
    """What our ledger says was moved for an order, in minor units.

    `refunded` went back by the gateway, `elsewhere` by other means.
    """

    order_id: UUID
    captured: int
    refunded: int
    fees: int
    elsewhere: int = 0


async def append(
    tx: AsyncConnection, moved: Sequence[tuple[UUID, Attempt, str, Succeeded]]
) -> None:
    """Book attempts that moved money, in one ledger transaction each: order, attempt, currency."""
    entries = [
        (order_id, attempt.id, currency, account, minor)
        for order_id, attempt, currency, outcome in moved
        for account, minor in book(
            attempt.kind, attempt.amount_minor, outcome.fee_minor, gateway=attempt.gateway
        ).items()
    ]
    if not entries:
        return
    await run(
        tx,
        """
        INSERT INTO ledger_entries (order_id, transaction_id, currency, account, amount_minor)
        SELECT * FROM unnest(%(order_id)b::uuid[], %(id)b::uuid[], %(currency)b::text[],
                             %(account)b::text[], %(minor)b::bigint[])
        """,
        {
            "order_id": [order_id for order_id, _, _, _, _ in entries],
            "id": [attempt_id for _, attempt_id, _, _, _ in entries],
            "currency": [currency for _, _, currency, _, _ in entries],
            "account": [account.value for _, _, _, account, _ in entries],
            "minor": [minor for _, _, _, _, minor in entries],
        },
    )


async def reverse(tx: AsyncConnection, attempt_ids: Sequence[UUID]) -> None:
    """Take back what was booked of attempts that came to nothing after all.

    Nothing booked is changed: each has one more transaction, whose id follows from its own.
    """
    if not attempt_ids:
        return
    await run(
        tx,
        """
        INSERT INTO ledger_entries (order_id, transaction_id, currency, account, amount_minor)
        SELECT order_id, md5(transaction_id || ':reversed')::uuid, currency, account, -amount_minor
        FROM ledger_entries WHERE transaction_id = ANY (%(ids)b::uuid[])
        """,
        {"ids": list(attempt_ids)},
    )


async def page(tx: AsyncConnection, order_id: UUID) -> list[LedgerEntry]:
    """Read the entries of an order, oldest first."""
    e = tables.ledger_entries.c
    query = (
        select(e.transaction_id, e.account, e.amount_minor, e.currency, e.created_at)
        .where(e.order_id == order_id)
        .order_by(e.created_at, e.transaction_id, e.account)
        .limit(ENTRIES_MAX)
    )
    return [LedgerEntry(*row) for row in await tx.execute(query)]


async def sums(tx: AsyncConnection, order_id: UUID) -> dict[str, int]:
    """Sum the entries of an order up, by account; an order has one currency."""
    e = tables.ledger_entries.c
    total = func.sum(e.amount_minor)
    query = select(e.account, total).where(e.order_id == order_id).group_by(e.account)
    return {account: int(minor) for account, minor in await tx.execute(query.order_by(e.account))}


async def moved(tx: AsyncConnection, order_ids: Sequence[UUID]) -> list[Moved]:
    """Sum up what the ledger says of orders; those of which it says nothing are left out."""
    return await fetch(
        tx,
        Moved,
        """
        SELECT order_id,
               coalesce(sum(-amount_minor) FILTER (WHERE account = 'receivable'), 0)::bigint,
               coalesce(sum(amount_minor) FILTER (
                   WHERE account IN ('refunds', 'settled_elsewhere')), 0)::bigint,
               coalesce(sum(amount_minor) FILTER (WHERE account = 'fees'), 0)::bigint,
               coalesce(-sum(amount_minor) FILTER (WHERE account = 'settled_elsewhere'), 0)::bigint
        FROM ledger_entries WHERE order_id = ANY (%(ids)b::uuid[]) GROUP BY order_id
        """,
        {"ids": list(order_ids)},
    )
