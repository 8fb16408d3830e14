"""A customer cancels at the worst of moments: nothing stays held, and no money stays taken."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from db.engine import Database
from ops.config import Settings
from tests.bank import Bank
from tests.builders import put_products
from tests.postbox import Postbox
from tests.records import assert_sound, cash, shelf, status, timeline
from tests.stages import (
    drain_inventory,
    drain_notifications,
    drain_payments,
    run_stages,
    settle_payments,
)
from tests.web import post_order, served

PRICE = 500
CANCELLED = "Your order is cancelled"


@pytest.fixture
async def client(app: Litestar, database: Database) -> AsyncGenerator[httpx.AsyncClient]:
    await put_products(database, APPLE=10)
    async with served(app) as client:
        yield client


async def ordered(client: httpx.AsyncClient) -> UUID:
    return UUID((await post_order(client, ("APPLE", 1))).json()["id"])


async def cancel(client: httpx.AsyncClient, order_id: UUID) -> httpx.Response:
    return await client.post(f"/v1/orders/{order_id}/cancel")


async def test_cancelled_while_the_charge_is_under_way_the_late_money_goes_back(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    postbox: Postbox,
) -> None:
    order_id = await ordered(client)
    await drain_inventory(database)
    bank.exit.shut()
    charging = asyncio.create_task(drain_payments(database, settings, bank))
    await bank.exit.until_waiting()

    answer = await cancel(client, order_id)
    on_cancel = await shelf(database, "APPLE")
    await bank.exit.open()
    await charging
    await settle_payments(database, settings, bank)
    await drain_notifications(database, settings, postbox)

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert on_cancel == await shelf(database, "APPLE") == (10, 0)
    assert await cash(database, order_id) == bank.takings(order_id) == [PRICE, -PRICE]
    assert await status(database, order_id) == "cancelled"
    assert await timeline(database, order_id) == [
        "order_placed",
        "stock_reserved",
        "order_cancelled",
        "late_payment",
        "payment_refunded",
    ]
    assert postbox.subjects(order_id) == [CANCELLED]
    await assert_sound(database)


async def test_cancelled_while_the_outcome_is_unknown_the_money_goes_back_once_it_is_found(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await ordered(client)
    await drain_inventory(database)
    bank.answers_lost = 1
    await drain_payments(database, settings, bank)

    await cancel(client, order_id)
    await settle_payments(database, settings, bank)

    assert bank.verbs() == ["charge", "find", "refund"]
    assert await cash(database, order_id) == bank.takings(order_id) == [PRICE, -PRICE]
    assert await timeline(database, order_id) == [
        "order_placed",
        "stock_reserved",
        "payment_unknown",
        "order_cancelled",
        "late_payment",
        "payment_refunded",
    ]
    assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)


async def test_cancelled_after_it_was_paid_it_is_refunded_restocked_and_told(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    postbox: Postbox,
) -> None:
    order_id = await ordered(client)
    await run_stages(database, settings, gateway=bank, mailer=postbox)
    while_paid = await shelf(database, "APPLE")

    await cancel(client, order_id)
    await settle_payments(database, settings, bank)
    await drain_notifications(database, settings, postbox)

    assert while_paid == (9, 0)
    assert await shelf(database, "APPLE") == (10, 0)
    assert await cash(database, order_id) == bank.takings(order_id) == [PRICE, -PRICE]
    assert postbox.subjects(order_id) == ["Your order is confirmed", CANCELLED]
    await assert_sound(database)


async def test_cancelled_before_its_turn_it_is_never_reserved_nor_charged(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    order_id = await ordered(client)

    await cancel(client, order_id)
    await run_stages(database, settings, gateway=bank)

    assert bank.asked == []
    assert await timeline(database, order_id) == ["order_placed", "order_cancelled"]
    assert await shelf(database, "APPLE") == (10, 0)


async def test_cancelling_races_with_every_stage_and_always_ends_with_nothing_kept(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    bank: Bank,
    postbox: Postbox,
) -> None:
    ids = [await ordered(client) for _ in range(8)]

    async def work() -> None:
        for _ in range(3):
            await run_stages(database, settings, gateway=bank, mailer=postbox)

    answers, _, _ = await asyncio.gather(
        asyncio.gather(*(cancel(client, order_id) for order_id in ids)), work(), work()
    )
    await settle_payments(database, settings, bank)

    assert {answer.status_code for answer in answers} == {200}
    assert [sum(bank.takings(order_id)) for order_id in ids] == [0] * len(ids)
    assert [sum(await cash(database, order_id)) for order_id in ids] == [0] * len(ids)
    assert await shelf(database, "APPLE") == (10, 0)
    await assert_sound(database)
