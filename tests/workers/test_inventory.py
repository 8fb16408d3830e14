"""Reservations: all or nothing for each order, first come first served."""

from uuid import UUID

from db import events, orders
from db.engine import Database, transaction
from domain import order
from domain.event import CancelReason
from domain.task import Kind
from tests.builders import a_placement, place, put_products
from tests.records import assert_sound, shelf, status, work
from tests.stages import drain_inventory


async def end_of(database: Database, order_id: UUID) -> dict[str, object]:
    """Read what the last event of an order tells."""
    async with transaction(database) as tx:
        return (await events.page(tx, order_id))[-1].data


async def test_stock_is_held_for_an_order(database: Database) -> None:
    await put_products(database, APPLE=10, PEAR=5)
    [order_id] = await place(database, a_placement(("APPLE", 3), ("PEAR", 5)))

    await drain_inventory(database)

    assert await status(database, order_id) == "reserved"
    assert (await shelf(database, "APPLE"), await shelf(database, "PEAR")) == ((10, 3), (5, 5))


async def test_order_that_lacks_anything_gets_nothing_and_ends_naming_what(
    database: Database,
) -> None:
    await put_products(database, APPLE=10, PEAR=1, PLUM=0)
    wanted = a_placement(("APPLE", 3), ("PEAR", 2), ("PLUM", 1))
    [order_id] = await place(database, wanted)

    await drain_inventory(database)

    assert await status(database, order_id) == "cancelled"
    assert await end_of(database, order_id) == {
        "reason": "out_of_stock",
        "short": [
            {"sku": "PEAR", "wanted": 2, "available": 1},
            {"sku": "PLUM", "wanted": 1, "available": 0},
        ],
    }
    assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)


async def test_first_come_is_first_served_within_a_group(database: Database) -> None:
    await put_products(database, APPLE=5)
    too_much = await place(database, a_placement(("APPLE", 6)))
    served = await place(database, a_placement(("APPLE", 4)))
    late = await place(database, a_placement(("APPLE", 2)))
    lucky = await place(database, a_placement(("APPLE", 1)))

    await drain_inventory(database)

    ids = [*too_much, *served, *late, *lucky]
    reached = [await status(database, order_id) for order_id in ids]
    assert reached == ["cancelled", "reserved", "cancelled", "reserved"]
    await assert_sound(database)


async def test_order_cancelled_before_its_turn_holds_nothing(database: Database) -> None:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 3)))
    async with transaction(database) as tx:
        await orders.change(
            tx, order_id, lambda was: order.cancel(was, reason=CancelReason.CUSTOMER)
        )

    await drain_inventory(database)

    assert await status(database, order_id) == "cancelled"
    assert (await work(database, order_id, Kind.RESERVE)).state == "done"
    assert await shelf(database, "APPLE") == (10, 0)
