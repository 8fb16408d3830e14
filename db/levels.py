"""Levels: the stock of a SKU as it is shown, in all and by location, read in one statement."""

from datetime import date
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from domain.refusal import NotFound


class Level(msgspec.Struct, frozen=True):
    """What there is at one location, or at none; `available` is what no order holds."""

    location: str | None
    on_hand: int
    reserved: int
    available: int
    incoming: int


class Stock(msgspec.Struct, frozen=True):
    """The stock of a SKU; its levels at `locations`, by code, add up to the numbers of it.

    `available` is what a new order can have: on hand, less reserved, less what orders that wait
    are promised. Below zero it is what was promised beyond what there is: `backorder_max` at most,
    unless some was lost since.
    """

    sku: str
    on_hand: int
    reserved: int
    backordered: int
    available: int
    incoming: int
    backorder_max: int
    available_from: date | None
    low_at: int | None
    is_low: bool
    version: int
    locations: list[Level]


class _Row(msgspec.Struct):
    sku: str
    on_hand: int
    reserved: int
    backordered: int
    backorder_max: int
    available_from: date | None
    low_at: int | None
    is_low: bool
    version: int
    located: bool
    levels: list[dict[str, Any]]
    incoming: dict[str, int]


async def find(tx: AsyncConnection, sku: str) -> Stock | None:
    """Read the stock of a SKU."""
    rows = await fetch(
        tx,
        _Row,
        """
        SELECT sku, on_hand, reserved, backordered, backorder_max, available_from, low_at, is_low,
               version, located,
               (SELECT coalesce(jsonb_agg(jsonb_build_object('location', code,
                           'on_hand', l.on_hand, 'reserved', l.reserved)
                           ORDER BY code), '[]')
                FROM stock_levels l JOIN locations p ON p.id = location_id
                WHERE l.sku = s.sku AND l.on_hand > 0),
               (SELECT coalesce(jsonb_object_agg(coalesce(code, ''), quantity), '{}') FROM (
                    SELECT code, sum(quantity - received) AS quantity
                    FROM incoming i LEFT JOIN locations p ON p.id = i.location_id
                    WHERE i.sku = s.sku AND cancelled_at IS NULL AND received < quantity
                    GROUP BY code) AS c)
        FROM stock s WHERE sku = %(sku)s
        """,
        {"sku": sku},
    )
    return _shown(rows[0]) if rows else None


async def get(tx: AsyncConnection, sku: str) -> Stock:
    """Read the stock of a SKU; raises NotFound."""
    found = await find(tx, sku)
    if found is None:
        raise NotFound(f"There is no stock of {sku}.")
    return found


def _shown(row: _Row) -> Stock:
    return Stock(
        row.sku,
        row.on_hand,
        row.reserved,
        row.backordered,
        available=row.on_hand - row.reserved - row.backordered,
        incoming=sum(row.incoming.values()),
        backorder_max=row.backorder_max,
        available_from=row.available_from,
        low_at=row.low_at,
        is_low=row.is_low,
        version=row.version,
        locations=_levels(row),
    )


def _levels(row: _Row) -> list[Level]:
    """Give the levels, that of what lies at no location last; none if all of it does."""
    if not row.located and row.incoming.keys() <= {""}:
        return []
    coming = dict(row.incoming)
    shown = [
        _level(one["location"], one["on_hand"], one["reserved"], coming.pop(one["location"], 0))
        for one in row.levels
    ]
    on_hand = row.on_hand - sum(level.on_hand for level in shown)
    reserved = row.reserved - sum(level.reserved for level in shown)
    nowhere = coming.pop("", 0)
    expected = [_level(code, 0, 0, quantity) for code, quantity in sorted(coming.items())]
    return [*shown, *expected, _level(None, on_hand, reserved, nowhere)]


def _level(location: str | None, on_hand: int, reserved: int, incoming: int) -> Level:
    return Level(location, on_hand, reserved, on_hand - reserved, incoming)
