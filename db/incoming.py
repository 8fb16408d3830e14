"""What is to come of a SKU: expected, received in one or several parts, or cancelled.

A transfer that takes its time is such, too: what left one place is on its way to another, and
belongs to no shelf meanwhile. All of it is written under the lock of the SKU's row of stock.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import stock
from db.engine import fetch, run
from db.ids import new_id
from db.stock import StockLevel
from domain.refusal import NotFound
from domain.stock import Cause, Moving, NotIncoming

# What is to come of one SKU that a list shows.
INCOMING_MAX = 200


class Incoming(msgspec.Struct, frozen=True):
    """What is to come; `location` and `source` are codes, `open` is what is not there yet.

    It is `in_transit` if it left the source, or no location, and comes in by a receipt.
    """

    id: UUID
    sku: str
    location: str | None
    quantity: int
    received: int
    open: int
    expected_on: date | None
    note: str | None
    in_transit: bool
    source: str | None
    cancelled: bool


class Expected(msgspec.Struct, frozen=True):
    """What somebody says is to come."""

    quantity: int
    expected_on: date | None = None
    location_id: UUID | None = None
    note: str | None = None
    in_transit: bool = False
    source_id: UUID | None = None


class _Locked(msgspec.Struct):
    quantity: int
    received: int
    location_id: UUID | None
    in_transit: bool
    source_id: UUID | None
    cancelled: bool


async def page(tx: AsyncConnection, sku: str) -> Sequence[Incoming]:
    """List what is to come of a SKU, the soonest first."""
    return await fetch(
        tx,
        Incoming,
        f"""
        {_SELECT} WHERE i.sku = %(sku)s AND i.cancelled_at IS NULL AND i.received < i.quantity
        ORDER BY i.expected_on, i.id LIMIT %(limit)s
        """,
        {"sku": sku, "limit": INCOMING_MAX},
    )


async def get(tx: AsyncConnection, incoming_id: UUID) -> Incoming:
    """Read what is or was to come; raises NotFound."""
    found = await fetch(tx, Incoming, f"{_SELECT} WHERE i.id = %(id)s", {"id": incoming_id})
    if not found:
        raise NotFound(f"Nothing to come is named {incoming_id}.")
    return found[0]


async def insert(tx: AsyncConnection, sku: str, wanted: Expected) -> Incoming:
    """Write that something is to come; raises NotFound if the SKU has no stock."""
    await stock.lock(tx, sku)
    incoming_id = new_id()
    await run(
        tx,
        """
        INSERT INTO incoming (id, sku, location_id, quantity, expected_on, note, in_transit,
                              source_id)
        VALUES (%(id)s, %(sku)s, %(location_id)s, %(quantity)s, %(expected_on)s, %(note)s,
                %(in_transit)s, %(source_id)s)
        """,
        {"id": incoming_id, "sku": sku, **msgspec.structs.asdict(wanted)},
    )
    await stock.touch(tx, sku)
    return await get(tx, incoming_id)


async def receive(tx: AsyncConnection, sku: str, moving: Moving) -> StockLevel:
    """Put what came in on hand, where it was expected unless a location is named.

    More than was expected may come, but not of what was sent from elsewhere. Raises NotFound,
    NotIncoming or Conflict.
    """
    was = await stock.lock(tx, sku)
    if moving.incoming_id is not None:
        found = await _locked(tx, sku, moving.incoming_id)
        if found.in_transit and moving.delta > found.quantity - found.received:
            raise NotIncoming(f"Only {found.quantity - found.received} are on their way.")
        cause = Cause.TRANSFER if found.in_transit else Cause.RECEIPT
        place = moving.location_id or found.location_id
        moving = msgspec.structs.replace(moving, cause=cause, location_id=place)
        await run(
            tx,
            """
            UPDATE incoming SET received = received + %(delta)s, updated_at = now()
            WHERE id = %(id)s
            """,
            {"id": moving.incoming_id, "delta": moving.delta},
        )
    return await stock.change(tx, was, moving)


async def cancel(tx: AsyncConnection, incoming_id: UUID, *, actor: UUID | None) -> Incoming:
    """Expect no more of it; what was sent from elsewhere is back where it came from.

    Again is the same. Raises NotFound, or NotIncoming once all of it has come.
    """
    sku = (await get(tx, incoming_id)).sku
    was = await stock.lock(tx, sku)
    before = await get(tx, incoming_id)
    if before.cancelled:
        return before
    found = await _locked(tx, sku, incoming_id)
    await run(
        tx,
        "UPDATE incoming SET cancelled_at = now(), updated_at = now() WHERE id = %(id)s",
        {"id": incoming_id},
    )
    if found.in_transit:
        left = found.quantity - found.received
        back = Moving(Cause.TRANSFER, left, found.source_id, actor, None, incoming_id)
        await stock.change(tx, was, back)
    await stock.touch(tx, sku)
    return await get(tx, incoming_id)


async def _locked(tx: AsyncConnection, sku: str, incoming_id: UUID) -> _Locked:
    """Read what is to come, under the lock of its stock; raises NotFound or NotIncoming."""
    found = await fetch(
        tx,
        _Locked,
        """
        SELECT quantity, received, location_id, in_transit, source_id, cancelled_at IS NOT NULL
        FROM incoming WHERE id = %(id)s AND sku = %(sku)s
        """,
        {"id": incoming_id, "sku": sku},
    )
    if not found:
        raise NotFound(f"Nothing to come of {sku} is named {incoming_id}.")
    if found[0].cancelled or found[0].received >= found[0].quantity:
        raise NotIncoming("Nothing of it is to come any more.")
    return found[0]


_SELECT = """
    SELECT i.id, i.sku, l.code, i.quantity, i.received,
           CASE WHEN i.cancelled_at IS NULL THEN greatest(i.quantity - i.received, 0) ELSE 0 END,
           i.expected_on, i.note, i.in_transit, s.code, i.cancelled_at IS NOT NULL
    FROM incoming i LEFT JOIN locations l ON l.id = i.location_id
    LEFT JOIN locations s ON s.id = i.source_id
    """
