"""What people do to stock adds up, in all and at each location, whatever orders do meanwhile."""

import asyncio
from collections.abc import Mapping
from datetime import date
from functools import partial
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from db import incoming, levels, locations, movements, orders, stock, stock_events, transfers
from db.engine import Database, transaction
from db.incoming import Incoming
from db.locations import LocationView
from db.transfers import Consignment, Route
from domain import order
from domain.event import CancelReason
from domain.location import LocationInUse
from domain.refusal import NotFound
from domain.stock import Cause, Moving, NotIncoming, StockBelowReserved
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.records import assert_sound, shelf, status, statuses
from tests.stages import drain_inventory, run_stages

Levels = Mapping[str | None, tuple[int, int]]


async def a_location(database: Database, code: str, priority: int = 0) -> UUID:
    async with transaction(database) as tx:
        await locations.put(tx, LocationView(code, code.title(), "GB", "N1 1AA", priority, 0))
        return (await locations.hold(tx, [code]))[code]


async def receive(database: Database, quantity: int, at: UUID | None, sku: str = "APPLE") -> None:
    async with transaction(database) as tx:
        await incoming.receive(tx, sku, Moving(Cause.RECEIPT, quantity, at))


async def move(database: Database, quantity: int, route: Route, sku: str = "APPLE") -> None:
    async with transaction(database) as tx:
        await transfers.transfer(tx, sku, Consignment(quantity, route, "Rebalanced.", None))


async def lying(database: Database, sku: str = "APPLE") -> Levels:
    """Read what is on hand and reserved by location; the sums are those in all."""
    async with transaction(database) as tx:
        found = await levels.get(tx, sku)
    assert sum(level.on_hand for level in found.locations) == found.on_hand
    assert sum(level.reserved for level in found.locations) == found.reserved
    assert sum(level.incoming for level in found.locations) == found.incoming
    return {level.location: (level.on_hand, level.reserved) for level in found.locations}


async def moved(database: Database, sku: str = "APPLE") -> dict[str | None, int]:
    """Sum up what people did, by location."""
    async with transaction(database) as tx:
        found = await movements.page(tx, sku, limit=100)
    sums: dict[str | None, int] = {}
    for movement in found:
        place = movement.location
        sums[place] = sums.get(place, 0) + movement.on_hand_delta
    return sums


async def cancel(database: Database, order_id: UUID) -> None:
    async with transaction(database) as tx:
        await orders.change(tx, order_id, partial(order.cancel, reason=CancelReason.CUSTOMER))


async def test_order_is_served_from_one_location_and_gives_back_to_it(
    database: Database, settings: Settings
) -> None:
    await put_products(database, APPLE=2, PEAR=0)
    north, south = await a_location(database, "north", 1), await a_location(database, "south", 2)
    await receive(database, 3, north)
    await receive(database, 4, south)
    await receive(database, 1, south, "PEAR")

    [one] = await place(database, a_placement(("APPLE", 3), ("PEAR", 1)))
    [two] = await place(database, a_placement(("APPLE", 2)))
    await run_stages(database, settings)

    sold: Levels = {"north": (1, 0), "south": (1, 0), None: (2, 0)}
    assert (await status(database, one), await lying(database)) == ("paid", sold)
    assert await moved(database) == {None: 2, "north": 3, "south": 4}

    await cancel(database, one)
    await cancel(database, two)

    assert await lying(database) == {"north": (3, 0), "south": (4, 0), None: (2, 0)}
    assert await lying(database, "PEAR") == {"south": (1, 0), None: (0, 0)}
    await assert_sound(database)


async def test_order_that_lies_at_two_locations_ends_unless_it_may_be_split(
    database: Database,
) -> None:
    await put_products(database, APPLE=0)
    await receive(database, 2, await a_location(database, "north"))
    await receive(database, 2, await a_location(database, "south"))

    [whole] = await place(database, a_placement(("APPLE", 3)))
    await drain_inventory(database)
    parcels = msgspec.structs.replace(a_placement(("APPLE", 3)), allow_split=True)
    [split] = await place(database, parcels)
    await drain_inventory(database)

    assert [await status(database, each) for each in (whole, split)] == ["cancelled", "reserved"]
    assert await lying(database) == {"north": (2, 2), "south": (2, 1), None: (0, 0)}
    await assert_sound(database)


async def test_order_that_waits_for_one_location_is_served_once_stock_is_brought_together(
    database: Database,
) -> None:
    await put_products(database, APPLE=0)
    north, south = await a_location(database, "north"), await a_location(database, "south")
    await receive(database, 2, north)
    await receive(database, 2, south)
    async with transaction(database) as tx:
        await stock.set_terms(tx, "APPLE", stock.Terms(1))
    [order_id] = await place(database, a_placement(("APPLE", 3)))
    await drain_inventory(database)
    assert await status(database, order_id) == "backordered"

    await move(database, 1, Route(south, north))
    await drain_inventory(database)

    assert await status(database, order_id) == "reserved"
    assert await lying(database) == {"north": (3, 3), "south": (1, 0), None: (0, 0)}
    await assert_sound(database)


async def test_nothing_is_moved_that_orders_hold_or_that_is_not_there(database: Database) -> None:
    await put_products(database, APPLE=0)
    north, south = await a_location(database, "north"), await a_location(database, "south")
    await receive(database, 3, north)
    await place(database, a_placement(("APPLE", 2)))
    await drain_inventory(database)

    for quantity, route in ((2, Route(north, south)), (1, Route(south, None))):
        with pytest.raises(StockBelowReserved):
            await move(database, quantity, route)
    async with transaction(database) as tx:
        with pytest.raises(StockBelowReserved, match="-1 of APPLE would be on hand at no location"):
            await stock.adjust(tx, "APPLE", -1, note="Lost.", actor=None)
        with pytest.raises(StockBelowReserved):
            await stock.count(tx, "APPLE", 1, location_id=north)

    assert await lying(database) == {"north": (3, 2), None: (0, 0)}


async def test_what_orders_took_while_somebody_counted_stays_taken(
    database: Database, settings: Settings
) -> None:
    await put_products(database, APPLE=0)
    north = await a_location(database, "north")
    await receive(database, 10, north)
    await place(database, a_placement(("APPLE", 4)))
    await run_stages(database, settings)

    async with transaction(database) as tx:
        await stock.count(tx, "APPLE", 9, shown=10, location_id=north, note="One is broken.")

    assert await lying(database) == {"north": (5, 0), None: (0, 0)}
    assert await moved(database) == {None: 0, "north": 9}


async def sent(database: Database, route: Route) -> Incoming:
    async with transaction(database) as tx:
        what = Consignment(4, route, "By lorry.", None)
        return await transfers.send(tx, "APPLE", what, expected_on=date(2027, 1, 1))


async def test_what_is_in_transit_is_on_no_shelf_until_it_is_received_or_called_back(
    database: Database,
) -> None:
    await put_products(database, APPLE=0)
    north, south = await a_location(database, "north"), await a_location(database, "south")
    await receive(database, 9, north)
    lorry = await sent(database, Route(north, south))
    assert (await shelf(database, "APPLE"), lorry.open) == ((5, 0), 4)

    async with transaction(database) as tx:
        moving = Moving(Cause.RECEIPT, 3, incoming_id=lorry.id)
        await incoming.receive(tx, "APPLE", moving)
        with pytest.raises(NotIncoming):
            await incoming.receive(tx, "APPLE", msgspec.structs.replace(moving, delta=2))
    async with transaction(database) as tx:
        with pytest.raises(LocationInUse):
            await locations.delete(tx, "south")
    for _ in range(2):
        async with transaction(database) as tx:
            assert (await incoming.cancel(tx, lorry.id, actor=None)).cancelled

    assert await lying(database) == {"north": (6, 0), "south": (3, 0), None: (0, 0)}
    assert await moved(database) == {None: 0, "north": 6, "south": 3}


async def test_location_is_closed_only_once_it_is_empty_and_takes_nothing_then(
    database: Database,
) -> None:
    await put_products(database, APPLE=0)
    north = await a_location(database, "north")
    await receive(database, 1, north)
    async with transaction(database) as tx:
        with pytest.raises(LocationInUse):
            await locations.delete(tx, "north")
    await move(database, 1, Route(north, None))

    async with transaction(database) as tx:
        assert await locations.delete(tx, "north") is not None
        assert await locations.delete(tx, "north") is None
        with pytest.raises(NotFound):
            await locations.hold(tx, ["north"])


async def deadlocks(database: Database) -> int:
    async with transaction(database) as tx:
        await tx.execute(text("SELECT pg_stat_force_next_flush()"))
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return (await tx.execute(text(query))).scalar_one()


async def test_last_unit_at_a_location_is_given_once_and_transfers_never_deadlock(
    database: Database,
) -> None:
    await put_products(database, APPLE=0, PEAR=0)
    north, south = await a_location(database, "north"), await a_location(database, "south")
    for sku in ("APPLE", "PEAR"):
        await receive(database, 30, north, sku)
    skus = [("APPLE", "PEAR"), ("PEAR", "APPLE")]
    wanted = [
        a_placement(*((sku, 1) for sku in skus[n % 2]), email=f"{n}@example.com") for n in range(60)
    ]
    await place(database, *wanted)

    async def shuttle(sku: str, route: Route) -> None:
        for _ in range(10):
            try:
                await move(database, 3, route, sku)
            except StockBelowReserved:
                continue

    before = await deadlocks(database)
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(drain_inventory(database, group_max=4) for _ in range(4)),
            *(shuttle(sku, Route(north, south)) for sku in ("PEAR", "APPLE")),
            *(shuttle(sku, Route(south, north)) for sku in ("APPLE", "PEAR")),
        )

    found = await statuses(database)
    assert found["reserved"] + found.get("cancelled", 0) == 60
    assert found["reserved"] <= 30
    assert await deadlocks(database) == before
    await lying(database)
    await assert_sound(database)


async def test_low_stock_is_told_once_until_there_is_more_again(database: Database) -> None:
    await put_products(database, APPLE=40)
    async with transaction(database) as tx:
        await stock.set_threshold(tx, "APPLE", 10)
    wanted = [a_placement(("APPLE", 1), email=f"{n}@example.com") for n in range(36)]
    await place(database, *wanted)

    await asyncio.gather(*(drain_inventory(database, group_max=3) for _ in range(4)))
    await receive(database, 6, None)
    await receive(database, 1, None)
    async with transaction(database) as tx:
        await stock.adjust(tx, "APPLE", -1, note="Broken.", actor=None)
        found = await stock_events.page(tx, limit=10)

    told = [(event.kind, event.available) for event in reversed(found)]
    low = [available for kind, available in told if kind == "stock_low"]
    assert [kind for kind, _ in told] == ["stock_low", "stock_replenished", "stock_low"]
    assert (low[0] in {8, 9, 10}, told[1][1], low[1]) == (True, 11, 10)
