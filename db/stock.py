"""Stock as people change it, in all and by location; each change has its cause and its actor.

The row of a SKU is locked first, as orders lock it: its levels at locations are only written under
that lock. Locations that are named are kept from being deleted before it.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import func

from db import invalidations, stock_tables, tables, tasks
from db.engine import fetch, run
from domain.refusal import NotFound
from domain.stock import Cause, Moving, refuse_level
from domain.task import Kind, NewTask

_s = tables.stock.c
_LEVEL = (_s.sku, _s.on_hand, _s.reserved, _s.version)


class StockLevel(msgspec.Struct, frozen=True):
    sku: str
    on_hand: int
    reserved: int
    version: int


class Shelved(msgspec.Struct, frozen=True):
    """What lies at one location, or at none, of which orders hold some."""

    on_hand: int
    reserved: int


async def find(tx: AsyncConnection, sku: str, *, lock: bool = False) -> StockLevel | None:
    """Read the stock of a SKU; locked, nobody else changes it until the transaction ends."""
    query = select(*_LEVEL).where(_s.sku == sku)
    query = query.with_for_update(key_share=True) if lock else query
    row = (await tx.execute(query)).one_or_none()
    return None if row is None else StockLevel(*row)


class _Available(msgspec.Struct):
    sku: str
    available: int


async def available(tx: AsyncConnection, skus: Sequence[str]) -> dict[str, int]:
    """Read what new orders can have of `skus`; it may be less as soon as it has been read."""
    rows = await fetch(
        tx,
        _Available,
        """
        SELECT sku, greatest(on_hand - reserved - backordered, 0) FROM stock
        WHERE sku = ANY (%(skus)b::text[])
        """,
        {"skus": list(skus)},
    )
    return {row.sku: row.available for row in rows}


async def lock(tx: AsyncConnection, sku: str) -> StockLevel:
    """Lock the stock of a SKU until the transaction ends; raises NotFound."""
    found = await find(tx, sku, lock=True)
    if found is None:
        raise NotFound(f"There is no stock of {sku}: put it first.")
    return found


async def put(
    tx: AsyncConnection, sku: str, on_hand: int, *, actor: UUID | None = None
) -> StockLevel:
    """Set what is on hand, as counted; the product exists. What changes lies at no location.

    Raises StockBelowReserved if orders hold more than that.
    """
    if created := await _create(tx, sku, on_hand):
        await keep(tx, created, Moving(Cause.COUNT, on_hand, actor=actor))
        return created
    was = await lock(tx, sku)
    return await change(tx, was, Moving(Cause.COUNT, on_hand - was.on_hand, actor=actor))


async def adjust(  # noqa: PLR0913 - a movement says all of this
    tx: AsyncConnection,
    sku: str,
    delta: int,
    *,
    note: str,
    actor: UUID | None,
    location_id: UUID | None = None,
) -> StockLevel:
    """Change what is on hand by so much, for a reason.

    Raises NotFound, StockBelowReserved or Conflict.
    """
    moving = Moving(Cause.ADJUSTMENT, delta, location_id, actor, note)
    return await change(tx, await lock(tx, sku), moving)


async def count(  # noqa: PLR0913 - a count says all of this
    tx: AsyncConnection,
    sku: str,
    counted: int,
    *,
    shown: int | None = None,
    actor: UUID | None = None,
    note: str | None = None,
    location_id: UUID | None = None,
) -> StockLevel:
    """Set what was counted at a location, or at none.

    If it is said what was `shown` when counting began, what orders took meanwhile stays taken.
    Raises NotFound, StockBelowReserved or Conflict.
    """
    was = await lock(tx, sku)
    before = await shelved(tx, was, location_id)
    delta = counted - (before.on_hand if shown is None else shown)
    return await change(tx, was, Moving(Cause.COUNT, delta, location_id, actor, note))


async def change(tx: AsyncConnection, was: StockLevel, moving: Moving) -> StockLevel:
    """Move locked stock in or out, at a location or at none; orders that wait are looked at again.

    Raises StockBelowReserved or Conflict.
    """
    before = await shelved(tx, was, moving.location_id)
    where = place(was, before, moving.location_id)
    refuse_level(was.sku, before.on_hand + moving.delta, reserved=before.reserved, where=where)
    refuse_level(was.sku, was.on_hand + moving.delta, reserved=was.reserved)
    if moving.location_id is not None:
        await shelve(tx, was.sku, moving.location_id, moving.delta)
    level = await write(tx, was.sku, moving.delta, located=moving.location_id is not None)
    await keep(tx, level, moving, level=before.on_hand + moving.delta)
    if moving.delta > 0:
        await fill(tx, was.sku)
    return level


def place(was: StockLevel, before: Shelved, location_id: UUID | None) -> str:
    """Say where it is that a refusal is about, if it is not about all there is."""
    if location_id is not None:
        return " at that location"
    return "" if before.on_hand == was.on_hand else " at no location"


async def shelved(tx: AsyncConnection, was: StockLevel, location_id: UUID | None) -> Shelved:
    """Read what lies at a location, or what locked stock the locations leave."""
    [found] = await fetch(
        tx,
        Shelved,
        """
        SELECT coalesce(sum(on_hand), 0)::bigint, coalesce(sum(reserved), 0)::bigint
        FROM stock_levels WHERE sku = %(sku)s
          AND (%(location_id)s::uuid IS NULL OR location_id = %(location_id)s::uuid)
        """,
        {"sku": was.sku, "location_id": location_id},
    )
    if location_id is not None:
        return found
    return Shelved(was.on_hand - found.on_hand, was.reserved - found.reserved)


async def fill(tx: AsyncConnection, sku: str) -> None:
    """Have the orders looked at that wait for a SKU, if there are any; its stock is locked."""
    waited_for = select(_s.sku).where(_s.sku == sku, _s.backordered > 0)
    if (await tx.execute(waited_for)).one_or_none() is not None:
        await tasks.schedule(tx, NewTask(Kind.FILL_BACKORDERS, {"sku": sku}))


async def set_threshold(tx: AsyncConnection, sku: str, low_at: int | None) -> int | None:
    """Say from what on a SKU is low; gives what was said before. Raises NotFound."""
    await lock(tx, sku)
    before = (await tx.execute(select(_s.low_at).where(_s.sku == sku))).scalar_one()
    if before != low_at:
        values = {"low_at": low_at, "version": _s.version + 1}
        await tx.execute(update(tables.stock).where(_s.sku == sku).values(values))
    return before


class Terms(msgspec.Struct, frozen=True):
    """How much of a SKU may be promised beyond what there is, and from when on there is some."""

    backorder_max: int
    available_from: date | None = None


async def set_terms(tx: AsyncConnection, sku: str, terms: Terms) -> Terms:
    """Say how much may be promised; gives what was said before. Raises NotFound.

    What is promised already stays so.
    """
    await lock(tx, sku)
    query = select(_s.backorder_max, _s.available_from).where(_s.sku == sku)
    before = Terms(*(await tx.execute(query)).one())
    if before != terms:
        values = {**msgspec.structs.asdict(terms), "version": _s.version + 1}
        await tx.execute(update(tables.stock).where(_s.sku == sku).values(values))
        await invalidations.touch(tx, [f"stock:{sku}"])
    return before


async def _create(tx: AsyncConnection, sku: str, on_hand: int) -> StockLevel | None:
    """Write the first stock of a SKU; None if there is some, also once another wrote it."""
    insertion = insert(tables.stock).values(sku=sku, on_hand=on_hand).on_conflict_do_nothing()
    row = (await tx.execute(insertion.returning(*_LEVEL))).one_or_none()
    return None if row is None else StockLevel(*row)


async def write(
    tx: AsyncConnection, sku: str, delta: int, *, located: bool, moves: int = 1
) -> StockLevel:
    """Write what there is in all; its version counts the movements."""
    values = {
        "on_hand": _s.on_hand + delta,
        "located": _s.located | located,
        "version": _s.version + moves,
        "updated_at": func.now(),
    }
    query = update(tables.stock).where(_s.sku == sku).values(values).returning(*_LEVEL)
    return StockLevel(*(await tx.execute(query)).one())


async def shelve(tx: AsyncConnection, sku: str, location_id: UUID, delta: int) -> None:
    """Write what a location has, which becomes so much more or less."""
    await run(
        tx,
        """
        INSERT INTO stock_levels AS l (sku, location_id, on_hand)
        VALUES (%(sku)s, %(location_id)s, greatest(%(delta)s::bigint, 0))
        ON CONFLICT (sku, location_id) DO UPDATE SET on_hand = l.on_hand + %(delta)s::bigint
        """,
        {"sku": sku, "location_id": location_id, "delta": delta},
    )


async def keep(
    tx: AsyncConnection, now: StockLevel, moving: Moving, *, level: int | None = None
) -> None:
    """Write down what a person did, and the `level` at its location then.

    What orders do stands in reservations and timelines.
    """
    movement = {
        "sku": now.sku,
        "version": now.version,
        "cause": moving.cause.value,
        "actor": moving.actor,
        "on_hand_delta": moving.delta,
        "on_hand": now.on_hand,
        "note": moving.note,
        "location_id": moving.location_id,
        "level": None if moving.location_id is None else level,
        "incoming_id": moving.incoming_id,
    }
    await tx.execute(insert(stock_tables.stock_movements).values(movement))
    await invalidations.touch(tx, [f"stock:{now.sku}"])


async def touch(tx: AsyncConnection, sku: str) -> None:
    """Count a change of what is shown of a SKU besides its numbers."""
    values = {"version": _s.version + 1}
    await tx.execute(update(tables.stock).where(_s.sku == sku).values(values))
    await invalidations.touch(tx, [f"stock:{sku}"])
