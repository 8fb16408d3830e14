"""The ledger as people read it: the entries of an order and what they come to."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tables

# Five hundred captures and refunds of one order; the sums are of all entries anyway.
ENTRIES_MAX = 1000


class LedgerEntry(msgspec.Struct, frozen=True):
    """One entry; those of a transaction, which is a payment attempt, sum to zero."""

    transaction_id: UUID
    account: str
    amount_minor: int
    currency: str
    created_at: datetime


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
