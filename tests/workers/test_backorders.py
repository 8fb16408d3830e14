"""Orders wait for what is promised to them, never beyond the limit; the oldest go first."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from db import incoming, levels, orders, outcomes, stock
from db.engine import Database, transaction
from db.incoming import Expected
from db.stock import Terms
from domain import order
from domain.event import CancelReason
from domain.stock import Cause, Moving
from domain.task import Kind
from ops.config import Settings
from tests.builders import a_placement, place, put_products
from tests.people import rows_of
from tests.records import assert_sound, shelf, status, statuses, timeline, work
from tests.stages import drain_inventory, run_stages


async def allow(database: Database, units: int, sku: str = "APPLE") -> None:
    async with transaction(database) as tx:
        await stock.set_terms(tx, sku, Terms(units))


async def receive(database: Database, quantity: int, sku: str = "APPLE") -> None:
    async with transaction(database) as tx:
        await incoming.receive(tx, sku, Moving(Cause.RECEIPT, quantity))


async def promised(database: Database, sku: str = "APPLE") -> int:
    async with transaction(database) as tx:
        return (await levels.get(tx, sku)).backordered


async def cancel(database: Database, order_id: UUID) -> None:
    async with transaction(database) as tx:
        decide = partial(order.cancel, reason=CancelReason.CUSTOMER)
        await orders.change(tx, order_id, decide)


async def order_each(database: Database, *quantities: int) -> Sequence[UUID]:
    return [(await place(database, a_placement(("APPLE", quantity))))[0] for quantity in quantities]


async def states(database: Database, ids: Sequence[UUID]) -> list[str]:
    return [await status(database, order_id) for order_id in ids]


def paid_within(le: str) -> float:
    labels = {"to": "paid", "le": le}
    return REGISTRY.get_sample_value("orderflow_order_age_seconds_bucket", labels) or 0.0


async def test_time_that_an_order_waits_for_stock_is_not_held_against_the_time_to_paid(
    database: Database, settings: Settings
) -> None:
    await put_products(database, APPLE=1)
    await allow(database, 5)
    [order_id] = await order_each(database, 3)
    await drain_inventory(database)
    query = "UPDATE orders SET created_at = now() - interval '1 day' RETURNING id"
    await rows_of(database, query)
    before, began = paid_within("60.0"), datetime.now(UTC)

    await receive(database, 2)
    await run_stages(database, settings)
    async with transaction(database) as tx:
        settled = await outcomes.settling(tx, began, datetime.now(UTC) + timedelta(hours=1))

    assert await status(database, order_id) == "paid"
    assert paid_within("60.0") == before + 1
    assert settled.p95_s is not None
    assert settled.p95_s < 60


async def test_order_waits_without_a_charge_and_goes_on_to_payment_once_stock_is_received(
    database: Database, settings: Settings
) -> None:
    await put_products(database, APPLE=1)
    await allow(database, 5)
    [order_id] = await order_each(database, 3)
    await run_stages(database, settings)
    assert (await work(database, order_id, Kind.NOTIFY)).state == "done"
    async with transaction(database) as tx:
        taken = (await tx.execute(text("SELECT count(*) FROM payment_attempts"))).scalar_one()
    assert (await status(database, order_id), taken) == ("backordered", 0)
    assert (await shelf(database, "APPLE"), await promised(database)) == ((1, 0), 3)

    await receive(database, 2)
    await run_stages(database, settings)

    assert await status(database, order_id) == "paid"
    assert (await shelf(database, "APPLE"), await promised(database)) == ((0, 0), 0)
    assert (await timeline(database, order_id))[:3] == [
        "order_placed",
        "order_backordered",
        "stock_reserved",
    ]
    await assert_sound(database)


async def test_of_two_hundred_at_once_no_more_are_promised_than_may_be(database: Database) -> None:
    await put_products(database, APPLE=10)
    await allow(database, 25)
    wanted = [a_placement(("APPLE", 1), email=f"{n}@example.com") for n in range(200)]
    await asyncio.gather(*(place(database, *wanted[n : n + 20]) for n in range(0, 200, 20)))

    await asyncio.gather(*(drain_inventory(database, group_max=7) for _ in range(4)))

    assert await statuses(database) == {"reserved": 10, "backordered": 25, "cancelled": 165}
    assert await promised(database) == 25
    await assert_sound(database)


async def test_the_oldest_get_theirs_first_and_nobody_new_gets_ahead_of_them(
    database: Database,
) -> None:
    await put_products(database, APPLE=0)
    await allow(database, 10)
    first, big, small = await order_each(database, 2, 5, 1)
    await drain_inventory(database)

    await receive(database, 6)
    [late] = await order_each(database, 1)
    await drain_inventory(database)

    # Four are left: too few for the big one, whose turn it is.
    assert await states(database, [first, big, small, late]) == [
        "reserved",
        "backordered",
        "backordered",
        "backordered",
    ]

    await cancel(database, big)
    await drain_inventory(database)

    assert await states(database, [small, late]) == ["reserved", "reserved"]
    assert await promised(database) == 0
    await assert_sound(database)


@pytest.mark.parametrize("given_back", ["adjusted", "cancelled", "counted"])
async def test_whatever_brings_stock_serves_who_waits(database: Database, given_back: str) -> None:
    await put_products(database, APPLE=2)
    await allow(database, 2)
    held, waiting = await order_each(database, 2, 2)
    await drain_inventory(database)

    if given_back == "cancelled":
        await cancel(database, held)
    async with transaction(database) as tx:
        if given_back == "adjusted":
            await stock.adjust(tx, "APPLE", 2, note="Found.", actor=None)
        elif given_back == "counted":
            await stock.put(tx, "APPLE", 4)
    await drain_inventory(database)

    assert await status(database, waiting) == "reserved"
    await assert_sound(database)


async def test_order_waits_for_all_of_its_skus_and_keeps_what_is_there_from_others(
    database: Database,
) -> None:
    await put_products(database, APPLE=0, PEAR=2)
    await allow(database, 5)
    [both] = await place(database, a_placement(("APPLE", 1), ("PEAR", 2)))
    await drain_inventory(database)
    [other] = await place(database, a_placement(("PEAR", 1)))
    await drain_inventory(database)
    assert await states(database, [both, other]) == ["backordered", "cancelled"]

    await receive(database, 1)
    await drain_inventory(database)

    assert await status(database, both) == "reserved"
    await assert_sound(database)


async def test_who_is_next_for_one_sku_still_waits_for_older_orders_of_another(
    database: Database,
) -> None:
    await put_products(database, APPLE=0, PEAR=1)
    for sku in ("APPLE", "PEAR"):
        await allow(database, 5, sku)
    [older] = await place(database, a_placement(("PEAR", 2)))
    [both] = await place(database, a_placement(("APPLE", 1), ("PEAR", 1)))
    await drain_inventory(database)

    await receive(database, 1)
    await drain_inventory(database)
    assert await states(database, [older, both]) == ["backordered", "backordered"]

    await receive(database, 2, "PEAR")
    await drain_inventory(database)
    assert await states(database, [older, both]) == ["reserved", "reserved"]


async def test_more_orders_than_one_pass_fills_are_filled_by_the_next(database: Database) -> None:
    await put_products(database, APPLE=0)
    await allow(database, 230)
    wanted = [a_placement(("APPLE", 1), email=f"{n}@example.com") for n in range(230)]
    await place(database, *wanted)
    await drain_inventory(database)

    await receive(database, 225)
    await drain_inventory(database)

    assert await statuses(database) == {"reserved": 225, "backordered": 5}
    await assert_sound(database)


async def test_customer_sees_the_day_on_which_the_last_of_it_is_expected(
    database: Database,
) -> None:
    await put_products(database, APPLE=0)
    await allow(database, 10)
    first, second = await order_each(database, 3, 3)
    await drain_inventory(database)
    async with transaction(database) as tx:
        await incoming.insert(tx, "APPLE", Expected(4, date(2027, 3, 1)))
        await incoming.insert(tx, "APPLE", Expected(4, date(2027, 4, 1)))

    async with transaction(database) as tx:
        days = [(await orders.get(tx, order_id)).expected_on for order_id in (first, second)]

    assert days == [date(2027, 3, 1), date(2027, 4, 1)]
