"""Stock is held for a while, never longer than that, and never let go while money may move."""

import asyncio
from functools import partial
from uuid import UUID

import msgspec
import pytest

from db import operations, orders, stock
from db.engine import Database, transaction
from domain.payment import OnDecline, Unknown
from domain.settlement import change_method
from ops.config import Settings
from tests.bank import AUTHENTICATED, DECLINED, Bank
from tests.builders import a_placement, place, put_products
from tests.records import (
    assert_sound,
    attempts,
    expire,
    make_due,
    sent_long_ago,
    shelf,
    status,
    timeline,
)
from tests.scenarios.processes import Surroundings, running
from tests.stages import drain_inventory, drain_payments, settle_payments
from tests.waiting import eventually
from tests.workers.charges import TOTAL, reserved
from workers import clock


async def change_payment_method(database: Database, order_id: UUID, payment_method: str) -> None:
    """Give a declined order that is held another payment method, as its customer does."""
    async with transaction(database) as tx:
        found = await operations.lock(tx, order_id)
        change = partial(change_method, payable=found.payable, charging=False, now=found.now)
        await orders.change(tx, order_id, change)
        await orders.set_payment_method(tx, order_id, payment_method)


async def held(database: Database, settings: Settings, bank: Bank) -> UUID:
    """An order whose card was declined and whose stock is kept for another one."""
    order_id = await reserved(database, DECLINED, on_decline=OnDecline.HOLD)
    await drain_payments(database, settings, bank)
    return order_id


async def test_order_that_is_not_charged_in_time_ends_and_its_stock_is_for_sale_again(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await reserved(database)
    await expire(database, order_id)

    await clock.run_once(database)

    assert await status(database, order_id) == "cancelled"
    assert await shelf(database, "APPLE") == (10, 0)
    await settle_payments(database, settings, bank)
    assert bank.asked == []
    await assert_sound(database)


async def test_stock_of_an_expired_order_is_for_sale_within_two_seconds(
    database: Database, surroundings: Surroundings
) -> None:
    await put_products(database, APPLE=1)
    brief = msgspec.structs.replace(a_placement(("APPLE", 1)), reserve_for_s=1)
    [order_id] = await place(database, brief)
    await drain_inventory(database)
    async with running(surroundings, "clock"):

        async def for_sale() -> bool:
            async with transaction(database) as tx:
                level = await stock.find(tx, "APPLE")
            return level is not None and level.reserved == 0

        await eventually(for_sale, within_s=1 + 2 + CLOCK_STARTS_WITHIN_S)
    assert await status(database, order_id) == "cancelled"


# A process of Python takes seconds to start on a machine that is busy.
CLOCK_STARTS_WITHIN_S = 10


async def test_many_expired_orders_end_in_one_sweep(database: Database) -> None:
    await put_products(database, APPLE=1000)
    ids = await place(database, *(a_placement(("APPLE", 1)) for _ in range(5)))
    await drain_inventory(database)
    for order_id in ids:
        await expire(database, order_id)

    await asyncio.gather(clock.expire(database), clock.expire(database))

    assert await shelf(database, "APPLE") == (1000, 0)
    await assert_sound(database)


async def test_reservation_outlasts_a_charge_that_is_under_way(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await reserved(database)
    bank.exit.shut()
    charging = asyncio.create_task(drain_payments(database, settings, bank))
    await bank.exit.until_waiting()
    await expire(database, order_id)

    await clock.expire(database)
    meanwhile = await status(database, order_id)
    await bank.exit.open()
    await charging

    assert (meanwhile, await status(database, order_id)) == ("reserved", "paid")
    await assert_sound(database)


async def test_reservation_outlasts_a_charge_whose_outcome_is_unknown(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await reserved(database)
    bank.answers_lost = 1
    await drain_payments(database, settings, bank)
    await expire(database, order_id)

    await clock.expire(database)
    meanwhile = await status(database, order_id)
    await settle_payments(database, settings, bank)

    assert (meanwhile, await status(database, order_id)) == ("reserved", "paid")


async def test_charge_that_was_not_found_is_not_made_again_once_the_time_is_over(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await reserved(database)
    bank.answers.append(Unknown("The connection broke before anything was sent."))
    await drain_payments(database, settings, bank)
    await expire(database, order_id)
    await make_due(database)
    await drain_payments(database, settings, bank)
    await clock.expire(database)
    meanwhile = await status(database, order_id)

    await sent_long_ago(database, order_id, by_s=settings.gateway_window_s)
    await settle_payments(database, settings, bank)
    await clock.expire(database)

    assert (meanwhile, await status(database, order_id)) == ("reserved", "cancelled")
    assert bank.verbs() == ["charge", "find", "find"]
    assert await attempts(database, order_id) == [("charge", "declined")]
    assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)


async def test_charge_that_waits_for_its_customer_is_abandoned_when_the_time_is_over(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await reserved(database, AUTHENTICATED)
    await drain_payments(database, settings, bank)
    waiting = await attempts(database, order_id)
    await expire(database, order_id)

    await clock.expire(database)
    await drain_payments(database, settings, bank)

    assert waiting == [("charge", "action_required")]
    assert bank.verbs() == ["charge", "find", "abandon"]
    assert await attempts(database, order_id) == [("charge", "declined")]
    assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)


async def test_customer_who_authenticates_after_the_end_gets_the_money_back(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await reserved(database, AUTHENTICATED)
    await drain_payments(database, settings, bank)
    await expire(database, order_id)
    await clock.expire(database)
    bank.authenticate(order_id)

    await settle_payments(database, settings, bank)

    assert bank.takings(order_id) == [TOTAL, -TOTAL]
    assert (await timeline(database, order_id))[-3:] == [
        "order_cancelled",
        "late_payment",
        "payment_refunded",
    ]
    await assert_sound(database)


async def test_customer_who_authenticates_in_time_has_paid(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await reserved(database, AUTHENTICATED)
    await drain_payments(database, settings, bank)
    bank.authenticate(order_id)

    await make_due(database)
    await drain_payments(database, settings, bank)

    assert await status(database, order_id) == "paid"
    assert (await timeline(database, order_id))[2:] == ["payment_action_required", "order_paid"]


async def test_declined_order_that_is_held_is_paid_with_another_method(
    database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await held(database, settings, bank)
    meanwhile = await status(database, order_id), await shelf(database, "APPLE")

    await change_payment_method(database, order_id, "pm_card_visa")
    await settle_payments(database, settings, bank)

    assert meanwhile == ("reserved", (10, 2))
    assert await attempts(database, order_id) == [("charge", "declined"), ("charge", "succeeded")]
    assert bank.takings(order_id) == [TOTAL]
    assert (await timeline(database, order_id))[2:] == [
        "payment_declined",
        "payment_method_changed",
        "order_paid",
    ]
    await assert_sound(database)


@pytest.mark.parametrize("another", [None, DECLINED])
async def test_declined_order_that_is_held_ends_with_its_reservation(
    database: Database, settings: Settings, bank: Bank, another: str | None
) -> None:
    order_id = await held(database, settings, bank)
    if another:
        await change_payment_method(database, order_id, another)
        await settle_payments(database, settings, bank)
    await expire(database, order_id)

    await clock.expire(database)

    assert await status(database, order_id) == "cancelled"
    assert await shelf(database, "APPLE") == (10, 0)
    assert bank.takings(order_id) == []
    await assert_sound(database)
