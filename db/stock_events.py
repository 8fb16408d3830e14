"""Events of stock: which SKU became low, and when there was enough of it again.

A trigger of the table of stock writes them, under the lock of the row: each crossing once.
"""

from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch

# Of a bigint column.
ID_MAX = 2**63 - 1


class StockEvent(msgspec.Struct, frozen=True):
    """A crossing of the threshold `low_at`, and what was for sale then."""

    id: int
    sku: str
    kind: str
    available: int
    low_at: int
    at: datetime


async def page(tx: AsyncConnection, *, before: int | None = None, limit: int) -> list[StockEvent]:
    """List events, newest first, from before an id on."""
    return await fetch(
        tx,
        StockEvent,
        """
        SELECT id, sku, kind, available, low_at, at FROM stock_events
        WHERE id < %(before)s ORDER BY id DESC LIMIT %(limit)s
        """,
        {"before": ID_MAX if before is None else before, "limit": limit},
    )
