"""Transfers: stock goes from one place to another, at once or by way of what is to come."""

from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import incoming, stock
from db.incoming import Expected, Incoming
from db.stock import StockLevel
from domain.stock import Cause, Moving, refuse_level


class Route(msgspec.Struct, frozen=True):
    """From where to where; None is at no location."""

    source_id: UUID | None
    target_id: UUID | None


class Consignment(msgspec.Struct, frozen=True):
    """How much goes, from where to where, why and by whom."""

    quantity: int
    route: Route
    note: str
    actor: UUID | None


async def transfer(tx: AsyncConnection, sku: str, what: Consignment) -> StockLevel:
    """Move stock that no order holds, out and in at once: what is for sale stays the same.

    Raises NotFound or StockBelowReserved.
    """
    was, quantity, route = await stock.lock(tx, sku), what.quantity, what.route
    source = await stock.shelved(tx, was, route.source_id)
    target = await stock.shelved(tx, was, route.target_id)
    where = stock.place(was, source, route.source_id)
    refuse_level(sku, source.on_hand - quantity, reserved=source.reserved, where=where)
    for place, delta in ((route.source_id, -quantity), (route.target_id, quantity)):
        if place is not None:
            await stock.shelve(tx, sku, place, delta)
    level = await stock.write(tx, sku, 0, located=True, moves=2)
    between = msgspec.structs.replace(
        level, version=level.version - 1, on_hand=level.on_hand - quantity
    )
    out = Moving(Cause.TRANSFER, -quantity, route.source_id, what.actor, what.note)
    into = Moving(Cause.TRANSFER, quantity, route.target_id, what.actor, what.note)
    await stock.keep(tx, between, out, level=source.on_hand - quantity)
    await stock.keep(tx, level, into, level=target.on_hand + quantity)
    # Orders may wait for all of it to be at one place.
    await stock.fill(tx, sku)
    return level


async def send(tx: AsyncConnection, sku: str, what: Consignment, *, expected_on: date) -> Incoming:
    """Take stock that no order holds off its place; it is to come at the other.

    Raises NotFound or StockBelowReserved.
    """
    was, route = await stock.lock(tx, sku), what.route
    expected = Expected(
        what.quantity,
        expected_on,
        route.target_id,
        what.note,
        in_transit=True,
        source_id=route.source_id,
    )
    sent = await incoming.insert(tx, sku, expected)
    out = Moving(Cause.TRANSFER, -what.quantity, route.source_id, what.actor, what.note, sent.id)
    await stock.change(tx, was, out)
    return sent
