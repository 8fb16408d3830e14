"""Stock and the orders that hold it, or are promised it.

Locks are always taken in this order: orders by id, then rows of stock by SKU. Levels at locations
and promises are read and written only under the lock of their SKU's row of stock, and so need none.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tasks
from db.engine import Params, fetch, run
from domain.location import Delivery, Location, Part, Preference
from domain.saga import StockEffect
from domain.stock import Places, Supply, Wanted
from domain.task import Kind, NewTask


class _WantedRow(msgspec.Struct):
    order_id: UUID
    skus: list[str]
    quantities: list[int]


class _Moved(msgspec.Struct):
    """What a group moved: whether some lies at locations, and which SKUs orders wait for."""

    located: bool
    waited_for: list[str]


class _Held(msgspec.Struct):
    sku: str
    available: int
    id: UUID
    code: str
    priority: int
    country: str
    postcode: str | None


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


async def lock(tx: AsyncConnection, skus: Sequence[str]) -> dict[str, Supply]:
    """Lock the stock of `skus` until the transaction ends; returns what there is of each."""
    rows = await fetch(
        tx,
        _supply,
        """
        SELECT sku, on_hand - reserved, backordered, backorder_max, located
        FROM stock WHERE sku = ANY (%(skus)b::text[])
        ORDER BY sku FOR NO KEY UPDATE
        """,
        {"skus": sorted(skus)},
    )
    return dict(rows)


def _supply(sku: str, *columns: Any) -> tuple[str, Supply]:  # noqa: ANN401 - those of a Supply
    return sku, Supply(*columns)


async def places(
    tx: AsyncConnection, skus: Sequence[str], order_ids: Sequence[UUID], preference: Preference
) -> Places:
    """Read where located SKUs lie, whose stock is locked, and where orders go.

    What came back to a location that was deleted since is still there.
    """
    levels = await fetch(
        tx,
        _Held,
        """
        SELECT s.sku, s.on_hand - s.reserved, l.id, l.code, l.priority, l.country, l.postcode
        FROM stock_levels s JOIN locations l ON l.id = s.location_id
        WHERE s.sku = ANY (%(skus)b::text[]) AND s.on_hand > s.reserved
        """,
        {"skus": list(skus)},
    )
    held: dict[Location, dict[str, int]] = {}
    for row in levels:
        place = Location(row.id, row.code, row.priority, row.country, row.postcode)
        held.setdefault(place, {})[row.sku] = row.available
    deliveries = await fetch(
        tx,
        _delivery,
        """
        SELECT id, coalesce(ship_to ->> 'country', ''), coalesce(ship_to ->> 'postcode', ''),
               allow_split
        FROM orders WHERE id = ANY (%(ids)b::uuid[])
        """,
        {"ids": list(order_ids)},
    )
    return Places(held, dict(deliveries), preference)


def _delivery(order_id: UUID, *columns: Any) -> tuple[UUID, Delivery]:  # noqa: ANN401 - its own
    return order_id, Delivery(*columns)


async def apply(
    tx: AsyncConnection,
    effects: Sequence[tuple[UUID, StockEffect]],
    parts: Sequence[tuple[UUID, Part]] = (),
) -> None:
    """Hold, commit, release, restock or promise the lines of orders, as their moves demand.

    `parts` say where that lies which is held from now on. If more can be had of what orders wait
    for, they are looked at again.
    """
    if not effects:
        return
    params: Params = {
        "order_id": [order_id for order_id, _ in effects],
        "on_hand": [effect.on_hand for _, effect in effects],
        "reserved": [effect.reserved for _, effect in effects],
        "promised": [effect.promised for _, effect in effects],
    }
    await _keep_reservations(tx, effects)
    await _keep_parts(tx, parts)
    moved = await _move(tx, params)
    if moved.located:
        await _move_levels(tx, params)
    if any(effect.promised for _, effect in effects):
        await _keep_promises(tx, effects)
    for sku in moved.waited_for:
        await tasks.schedule(tx, NewTask(Kind.FILL_BACKORDERS, {"sku": sku}))


async def _keep_reservations(
    tx: AsyncConnection, effects: Sequence[tuple[UUID, StockEffect]]
) -> None:
    states = [(order_id, e.reservation) for order_id, e in effects if e.reservation is not None]
    if not states:
        return
    await run(
        tx,
        """
        INSERT INTO reservations (order_id, sku, quantity, state)
        SELECT order_id, sku, quantity, e.state
        FROM unnest(%(order_id)b::uuid[], %(state)b::text[]) AS e (order_id, state)
        JOIN order_lines USING (order_id)
        ON CONFLICT (order_id, sku) DO UPDATE SET state = excluded.state
        """,
        {"order_id": [order_id for order_id, _ in states], "state": [s for _, s in states]},
    )


async def _keep_parts(tx: AsyncConnection, parts: Sequence[tuple[UUID, Part]]) -> None:
    if not parts:
        return
    await run(
        tx,
        """
        INSERT INTO reservation_parts (order_id, sku, location_id, quantity)
        SELECT * FROM unnest(%(order_id)b::uuid[], %(sku)b::text[], %(location_id)b::uuid[],
                             %(quantity)b::int[])
        """,
        {
            "order_id": [order_id for order_id, _ in parts],
            "sku": [part.sku for _, part in parts],
            "location_id": [part.location_id for _, part in parts],
            "quantity": [part.quantity for _, part in parts],
        },
    )


async def _move(tx: AsyncConnection, params: Params) -> _Moved:
    [moved] = await fetch(
        tx,
        _Moved,
        """
        WITH delta AS MATERIALIZED (
            SELECT sku, sum(quantity * e.on_hand) AS on_hand,
                   sum(quantity * e.reserved) AS reserved, sum(quantity * e.promised) AS promised
            FROM unnest(%(order_id)b::uuid[], %(on_hand)b::int[], %(reserved)b::int[],
                        %(promised)b::int[])
              AS e (order_id, on_hand, reserved, promised)
            JOIN order_lines USING (order_id) GROUP BY sku
        ), locked AS MATERIALIZED (
            SELECT sku FROM stock WHERE sku IN (SELECT sku FROM delta)
            ORDER BY sku FOR NO KEY UPDATE
        ), moved AS (
            UPDATE stock s
            SET on_hand = s.on_hand + delta.on_hand, reserved = s.reserved + delta.reserved,
                backordered = s.backordered + delta.promised,
                version = s.version + 1, updated_at = now()
            FROM locked JOIN delta USING (sku) WHERE s.sku = locked.sku
            RETURNING s.sku, s.located,
                s.backordered > 0 AND delta.on_hand > delta.reserved + delta.promised AS more
        )
        SELECT coalesce(bool_or(located), false),
               coalesce(array_agg(sku ORDER BY sku) FILTER (WHERE more), '{}')
        FROM moved
        """,
        params,
    )
    return moved


async def _move_levels(tx: AsyncConnection, params: Params) -> None:
    """Give back to, and take from, the locations that the orders were allocated at."""
    await run(
        tx,
        """
        WITH delta AS MATERIALIZED (
            SELECT sku, location_id, sum(quantity * e.on_hand) AS on_hand,
                   sum(quantity * e.reserved) AS reserved
            FROM unnest(%(order_id)b::uuid[], %(on_hand)b::int[], %(reserved)b::int[])
              AS e (order_id, on_hand, reserved)
            JOIN reservation_parts USING (order_id) GROUP BY sku, location_id
        )
        UPDATE stock_levels l
        SET on_hand = l.on_hand + delta.on_hand, reserved = l.reserved + delta.reserved
        FROM delta WHERE l.sku = delta.sku AND l.location_id = delta.location_id
        """,
        params,
    )


async def _keep_promises(tx: AsyncConnection, effects: Sequence[tuple[UUID, StockEffect]]) -> None:
    """Write what orders wait for from now on, and delete what they do not any more."""
    await run(
        tx,
        """
        INSERT INTO backorders (sku, order_id, quantity)
        SELECT sku, order_id, quantity FROM order_lines WHERE order_id = ANY (%(ids)b::uuid[])
        """,
        {"ids": [order_id for order_id, effect in effects if effect.promised > 0]},
    )
    await run(
        tx,
        """
        DELETE FROM backorders b USING order_lines l
        WHERE l.order_id = ANY (%(ids)b::uuid[]) AND b.sku = l.sku AND b.order_id = l.order_id
        """,
        {"ids": [order_id for order_id, effect in effects if effect.promised < 0]},
    )
