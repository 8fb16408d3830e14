"""Why stock is what it is: what people did to it, and what orders hold and took, read together.

What orders do is not written down a second time: it stands in reservations, of one transaction
with the stock, and in timelines.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import allow_scans, fetch
from domain.refusal import NotFound
from domain.shelf import Shelf

# The newest lines of one SKU that are looked at: what is held is among them, and counting them
# takes a tenth of a second.
LINES_MAX = 20_000
# Orders that were just placed, whose wants are added up.
WAITING_MAX = 5000


class Movement(msgspec.Struct, frozen=True):
    """What a person did to what is on hand; `by` is the address of who did it.

    `level` is what was at the location then; what lies at none has no `location`.
    """

    version: int
    at: datetime
    cause: str
    by: str | None
    on_hand_delta: int
    on_hand: int
    note: str | None
    location: str | None
    level: int | None
    incoming_id: UUID | None


class Taken(msgspec.Struct, frozen=True):
    """What one order holds or took, and when it did; `ended_at` is when it gave it back."""

    order_id: UUID
    status: str
    quantity: int
    state: str
    held_at: datetime | None
    sold_at: datetime | None
    ended_at: datetime | None


class Level(msgspec.Struct, frozen=True):
    """A SKU as lists show it; `wanted` is what orders want that were just placed."""

    sku: str
    name: str
    on_hand: int
    reserved: int
    low_at: int | None
    wanted: int
    promised: int

    @property
    def available(self) -> int:
        """Give what is for sale; below zero, what is promised beyond what there is."""
        return self.on_hand - self.reserved - self.promised


async def shelf(tx: AsyncConnection, sku: str, *, lines_max: int = LINES_MAX) -> Shelf:
    """Read the stock of a SKU and what explains it, in one statement and so of one moment.

    Raises NotFound.
    """
    found = await fetch(
        tx,
        Shelf,
        """
        SELECT s.sku, p.name, s.on_hand, s.reserved, s.low_at, s.version, m.counted, r.sold,
               r.held, r.lines >= %(most)s, s.backordered
        FROM stock s JOIN variants p USING (sku)
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(on_hand_delta), 0)::bigint AS counted
            FROM stock_movements WHERE sku = s.sku
        ) AS m
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(r.quantity) FILTER (WHERE r.state = 'committed'), 0)::bigint
                     AS sold,
                   coalesce(sum(r.quantity) FILTER (WHERE r.state = 'held'), 0)::bigint AS held,
                   count(*) AS lines
            FROM (SELECT order_id FROM order_lines l WHERE l.sku = s.sku
                  ORDER BY order_id DESC LIMIT %(most)s) AS l
            LEFT JOIN reservations r ON r.order_id = l.order_id AND r.sku = s.sku
        ) AS r
        WHERE s.sku = %(sku)s
        """,
        {"sku": sku, "most": lines_max},
    )
    if not found:
        raise NotFound(f"There is no stock of {sku}.")
    return found[0]


async def page(
    tx: AsyncConnection, sku: str, *, before: int | None = None, limit: int
) -> Sequence[Movement]:
    """List what people did to the stock of a SKU, newest first, from before a version on."""
    return await fetch(
        tx,
        Movement,
        """
        SELECT m.version, m.at, m.cause, u.email, m.on_hand_delta, m.on_hand, m.note, l.code,
               m.level, m.incoming_id
        FROM stock_movements m LEFT JOIN users u ON u.id = m.actor
        LEFT JOIN locations l ON l.id = m.location_id
        WHERE m.sku = %(sku)s AND m.version < %(before)s
        ORDER BY m.version DESC LIMIT %(limit)s
        """,
        {"sku": sku, "before": 2**31 - 1 if before is None else before, "limit": limit},
    )


async def takers(
    tx: AsyncConnection, sku: str, *, before: UUID | None = None, limit: int
) -> Sequence[Taken]:
    """List the orders that hold stock of a SKU, or held it, newest first."""
    return await fetch(
        tx,
        Taken,
        """
        SELECT l.order_id, o.status, r.quantity, r.state, e.held_at, e.sold_at, e.ended_at
        FROM (SELECT order_id FROM order_lines
              WHERE sku = %(sku)s AND (%(before)s::uuid IS NULL OR order_id < %(before)s::uuid)
              ORDER BY order_id DESC LIMIT %(limit)s) AS l
        JOIN orders o ON o.id = l.order_id
        JOIN reservations r ON r.order_id = l.order_id AND r.sku = %(sku)s
        CROSS JOIN LATERAL (
            SELECT min(at) FILTER (WHERE status = 'reserved') AS held_at,
                   min(at) FILTER (WHERE status = 'paid') AS sold_at,
                   min(at) FILTER (WHERE status = 'cancelled') AS ended_at
            FROM order_events WHERE order_id = l.order_id
        ) AS e
        ORDER BY l.order_id DESC
        """,
        {"sku": sku, "before": before, "limit": limit},
    )


async def scarce(tx: AsyncConnection, *, limit: int) -> Sequence[Level]:
    """List what is low or sold out, and what orders want more of than there is, worst first.

    Reads all of the stock, whose rows change too often for an index of what is for sale.
    """
    await allow_scans(tx)
    return await fetch(
        tx,
        Level,
        """
        WITH waiting AS MATERIALIZED (
            SELECT sku, sum(quantity)::bigint AS wanted
            FROM (SELECT id FROM orders WHERE status = 'placed'
                  ORDER BY id DESC LIMIT %(most)s) AS o
            JOIN order_lines ON order_id = id GROUP BY sku
        )
        SELECT sku, name, on_hand, reserved, low_at, coalesce(wanted, 0), backordered
        FROM stock s JOIN variants p USING (sku) LEFT JOIN waiting w USING (sku)
        WHERE on_hand - reserved - backordered <= coalesce(low_at, 0)
           OR wanted > on_hand - reserved - backordered
        ORDER BY on_hand - reserved - backordered - coalesce(wanted, 0), sku LIMIT %(limit)s
        """,
        {"most": WAITING_MAX, "limit": limit},
    )


async def find(tx: AsyncConnection, text: str, *, limit: int) -> Sequence[Level]:
    """List the SKUs that begin so, in their order."""
    return await fetch(
        tx,
        Level,
        """
        SELECT sku, name, on_hand, reserved, low_at, 0, backordered
        FROM stock JOIN variants USING (sku)
        WHERE sku >= %(text)s AND starts_with(sku, %(text)s) ORDER BY sku LIMIT %(limit)s
        """,
        {"text": text, "limit": limit},
    )
