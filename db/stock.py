"""Stock and who holds it; rows are always locked in the order of their SKU."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import func

from db import stock_tables, tables
from db.engine import fetch, run
from domain.refusal import NotFound
from domain.saga import StockEffect
from domain.stock import Cause, Wanted, refuse_level


class StockLevel(msgspec.Struct, frozen=True):
    sku: str
    on_hand: int
    reserved: int
    version: int


class _WantedRow(msgspec.Struct):
    order_id: UUID
    skus: list[str]
    quantities: list[int]


class _Available(msgspec.Struct):
    sku: str
    available: int


async def wanted(tx: AsyncConnection, order_ids: Sequence[UUID]) -> list[Wanted]:
    """Read what orders ask for, in the order of `order_ids`."""
    rows = await fetch(
        tx,
        _WantedRow,
        """
        SELECT order_id, array_agg(sku ORDER BY line), array_agg(quantity ORDER BY line)
        FROM order_lines WHERE order_id = ANY (%(ids)b::uuid[]) GROUP BY order_id
        """,
        {"ids": list(order_ids)},
    )
    by_id = {row.order_id: dict(zip(row.skus, row.quantities, strict=True)) for row in rows}
    return [Wanted(order_id, by_id[order_id]) for order_id in order_ids]


async def lock(tx: AsyncConnection, skus: Sequence[str]) -> dict[str, int]:
    """Lock the stock of `skus` until the transaction ends; returns what is for sale of each."""
    rows = await fetch(
        tx,
        _Available,
        """
        SELECT sku, on_hand - reserved FROM stock WHERE sku = ANY (%(skus)b::text[])
        ORDER BY sku FOR NO KEY UPDATE
        """,
        {"skus": sorted(skus)},
    )
    return {row.sku: row.available for row in rows}


async def available(tx: AsyncConnection, skus: Sequence[str]) -> dict[str, int]:
    """Read what is for sale of `skus`; it may be less as soon as it has been read."""
    rows = await fetch(
        tx,
        _Available,
        "SELECT sku, on_hand - reserved FROM stock WHERE sku = ANY (%(skus)b::text[])",
        {"skus": list(skus)},
    )
    return {row.sku: row.available for row in rows}


async def apply(tx: AsyncConnection, effects: Sequence[tuple[UUID, StockEffect]]) -> None:
    """Hold, commit, release or restock the lines of orders, as their moves demand."""
    if not effects:
        return
    params = {
        "order_id": [order_id for order_id, _ in effects],
        "on_hand": [effect.on_hand for _, effect in effects],
        "reserved": [effect.reserved for _, effect in effects],
        "state": [effect.reservation for _, effect in effects],
    }
    await run(
        tx,
        """
        INSERT INTO reservations (order_id, sku, quantity, state)
        SELECT order_id, sku, quantity, e.state
        FROM unnest(%(order_id)b::uuid[], %(state)b::text[]) AS e (order_id, state)
        JOIN order_lines USING (order_id)
        ON CONFLICT (order_id, sku) DO UPDATE SET state = excluded.state
        """,
        params,
    )
    await run(
        tx,
        """
        WITH delta AS MATERIALIZED (
            SELECT sku, sum(quantity * e.on_hand) AS on_hand, sum(quantity * e.reserved) AS reserved
            FROM unnest(%(order_id)b::uuid[], %(on_hand)b::int[], %(reserved)b::int[])
              AS e (order_id, on_hand, reserved)
            JOIN order_lines USING (order_id) GROUP BY sku
        ), locked AS MATERIALIZED (
            SELECT sku FROM stock WHERE sku IN (SELECT sku FROM delta)
            ORDER BY sku FOR NO KEY UPDATE
        )
        UPDATE stock s
        SET on_hand = s.on_hand + delta.on_hand, reserved = s.reserved + delta.reserved,
            version = s.version + 1, updated_at = now()
        FROM locked JOIN delta USING (sku) WHERE s.sku = locked.sku
        """,
        params,
    )


async def find(tx: AsyncConnection, sku: str) -> StockLevel | None:
    """Read the stock of a SKU."""
    s = tables.stock.c
    row = (
        await tx.execute(select(s.sku, s.on_hand, s.reserved, s.version).where(s.sku == sku))
    ).one_or_none()
    return None if row is None else StockLevel(*row)


async def put(
    tx: AsyncConnection, sku: str, on_hand: int, *, actor: UUID | None = None
) -> StockLevel:
    """Set what is on hand, as counted; the product exists.

    Raises StockBelowReserved if orders hold more than that.
    """
    if created := await _create(tx, sku, on_hand):
        await _keep(tx, created, Cause.COUNT, on_hand, actor)
        return created
    was = await _locked(tx, sku)
    return await _set(tx, was, on_hand, Cause.COUNT, actor)


async def adjust(
    tx: AsyncConnection, sku: str, delta: int, *, note: str, actor: UUID | None
) -> StockLevel:
    """Change what is on hand by so much, for a reason.

    Raises NotFound, StockBelowReserved or Conflict.
    """
    was = await _locked(tx, sku)
    return await _set(tx, was, was.on_hand + delta, Cause.ADJUSTMENT, actor, note)


async def set_threshold(tx: AsyncConnection, sku: str, low_at: int | None) -> int | None:
    """Say from what on a SKU is low; gives what was said before. Raises NotFound."""
    s = tables.stock
    held = select(s.c.low_at).where(s.c.sku == sku).with_for_update(key_share=True)
    before = (await tx.execute(held)).one_or_none()
    if before is None:
        raise NotFound(f"There is no stock of {sku}.")
    await tx.execute(update(s).where(s.c.sku == sku).values(low_at=low_at))
    return before[0]


async def _create(tx: AsyncConnection, sku: str, on_hand: int) -> StockLevel | None:
    """Write the first stock of a SKU; None if there is some, also once another wrote it."""
    insertion = insert(tables.stock).values(sku=sku, on_hand=on_hand).on_conflict_do_nothing()
    row = (await tx.execute(insertion.returning(*_LEVEL))).one_or_none()
    return None if row is None else StockLevel(*row)


async def _locked(tx: AsyncConnection, sku: str) -> StockLevel:
    query = select(*_LEVEL).where(tables.stock.c.sku == sku).with_for_update(key_share=True)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"There is no stock of {sku}: put it first.")
    return StockLevel(*row)


async def _set(  # noqa: PLR0913, PLR0917 - a movement says all of this
    tx: AsyncConnection,
    was: StockLevel,
    on_hand: int,
    cause: Cause,
    actor: UUID | None,
    note: str | None = None,
) -> StockLevel:
    refuse_level(was.sku, on_hand, reserved=was.reserved)
    s = tables.stock
    values = {"on_hand": on_hand, "version": s.c.version + 1, "updated_at": func.now()}
    query = update(s).where(s.c.sku == was.sku).values(values).returning(*_LEVEL)
    level = StockLevel(*(await tx.execute(query)).one())
    await _keep(tx, level, cause, on_hand - was.on_hand, actor, note)
    return level


async def _keep(  # noqa: PLR0913, PLR0917 - a movement says all of this
    tx: AsyncConnection,
    level: StockLevel,
    cause: Cause,
    delta: int,
    actor: UUID | None,
    note: str | None = None,
) -> None:
    """Write down what a person did; what orders do stands in reservations and timelines."""
    movement = {
        "sku": level.sku,
        "version": level.version,
        "cause": cause.value,
        "actor": actor,
        "on_hand_delta": delta,
        "on_hand": level.on_hand,
        "note": note,
    }
    await tx.execute(insert(stock_tables.stock_movements).values(movement))


_LEVEL = (
    tables.stock.c.sku,
    tables.stock.c.on_hand,
    tables.stock.c.reserved,
    tables.stock.c.version,
)
