import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from api.orders import QUANTITY_MAX
from db import tables
from db.engine import Database, transaction
from db.ids import new_id
from domain.money import AMOUNT_MINOR_MAX
from ops.bench.outside import InstantGateway
from ops.config import Settings
from tests.builders import an_order_body, put_product, put_products
from tests.stages import drain_inventory, run_stages, settle_payments
from tests.web import assert_problem, post_order, rows, unlinked

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CARD = "4242424242424242"
UNPRICED = {"discount_minor": 0, "shipping_minor": 0, "tax_minor": 0}
PLAIN = {"tax_class": "standard", "discount_minor": 0, "tax_minor": 0, "tax_ppm": 0}
SHIP_TO: dict[str, Any] = an_order_body()["ship_to"]


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    async with transaction(database) as tx:
        await put_product(tx, "APPLE", price_minor=250)
        await put_product(tx, "PEAR", price_minor=999)
        await put_product(tx, "EURO", currency="EUR")
        await put_product(tx, "GONE", active=False)
        await put_product(tx, "DEAR", price_minor=AMOUNT_MINOR_MAX)


# Placing


async def test_an_order_is_accepted_at_our_prices(client: httpx.AsyncClient) -> None:
    answer = await post_order(client, ("APPLE", 3), ("PEAR", 2))

    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/orders/{body['id']}"
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert UUID(body["id"]).version == 7
    assert datetime.fromisoformat(body["created_at"]).utcoffset() is not None
    assert body == {
        "id": body["id"],
        "email": "ann@example.com",
        "status": "placed",
        "cancel_reason": None,
        "currency": "GBP",
        "total_minor": 3 * 250 + 2 * 999,
        **UNPRICED,
        "tax_included": False,
        "discounts": [],
        "capture": "automatic",
        "on_decline": "cancel",
        "allow_split": False,
        "reserved_until": None,
        "expected_on": None,
        "ship_to": SHIP_TO,
        "version": 1,
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
        "lines": [
            {"sku": "APPLE", "quantity": 3, "unit_minor": 250} | {"name": "Product APPLE", **PLAIN},
            {"sku": "PEAR", "quantity": 2, "unit_minor": 999} | {"name": "Product PEAR", **PLAIN},
        ],
    }


async def test_what_was_accepted_can_be_read_at_its_location(client: httpx.AsyncClient) -> None:
    answer = await post_order(client, ("APPLE", 3), ("PEAR", 2))

    read = await client.get(answer.headers["location"])

    assert read.status_code == 200
    assert unlinked(read.json()) == answer.json()


async def test_an_accepted_order_is_one_order_with_one_event_and_one_task(
    client: httpx.AsyncClient, database: Database
) -> None:
    before = await rows(database)

    await post_order(client, ("APPLE", 3), ("PEAR", 2))

    written = await rows(database)
    assert {name: count - before[name] for name, count in written.items()} == dict.fromkeys(
        written, 0
    ) | {"orders": 1, "order_lines": 2, "order_events": 1, "tasks": 1, "idempotency_keys": 1}


async def test_the_callers_trace_goes_with_the_order_and_its_work(
    client: httpx.AsyncClient, database: Database
) -> None:
    headers = {"Idempotency-Key": "k", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}

    await client.post("/v1/orders", json=an_order_body(("APPLE", 1)), headers=headers)

    async with transaction(database) as tx:
        order = await tx.scalar(select(tables.orders.c.traceparent))
        task = await tx.scalar(select(tables.tasks.c.traceparent))
    assert order
    assert order.startswith(f"00-{TRACE}-")
    assert order == task


@pytest.mark.parametrize(
    ("items", "code", "field"),
    [
        ([("APPLE", 1), ("NOTHING", 1)], "unknown_sku", "lines[1].sku"),
        ([("apple", 1)], "unknown_sku", "lines[0].sku"),
        ([("GONE", 1)], "product_inactive", "lines[0].sku"),
        ([("PEAR", 1), ("APPLE", 1), ("EURO", 1)], "currency_mismatch", "lines[2].sku"),
        ([("APPLE", 1), ("PEAR", 1), ("APPLE", 2)], "duplicate_sku", "lines[2].sku"),
        ([("DEAR", 1), ("APPLE", 1)], "total_too_large", "lines"),
        ([("DEAR", QUANTITY_MAX)], "total_too_large", "lines"),
    ],
)
async def test_what_cannot_be_sold_is_refused_by_name_and_leaves_nothing_behind(
    client: httpx.AsyncClient,
    database: Database,
    items: list[tuple[str, int]],
    code: str,
    field: str,
) -> None:
    before = await rows(database)

    answer = await post_order(client, *items)

    assert_problem(answer, 422, code, field)
    assert await rows(database) == before


async def test_the_largest_total_a_gateway_takes_is_accepted(client: httpx.AsyncClient) -> None:
    answer = await post_order(client, ("DEAR", 1))

    assert answer.status_code == 202
    assert answer.json()["total_minor"] == AMOUNT_MINOR_MAX


# Reading


@pytest.mark.parametrize("path", ["/v1/orders/{}", "/v1/orders/{}/events"])
@pytest.mark.parametrize(
    "order_id",
    ["01a1fc38-e824-799d-91fa-a3621629b8c6", "1", "not-an-id", "' OR 1=1", "%00", "..%2f..%2fetc"],
)
async def test_an_unknown_order_is_not_found(
    client: httpx.AsyncClient, path: str, order_id: str
) -> None:
    answer = await client.get(path.format(order_id))

    assert_problem(answer, 404, "not_found")


async def test_the_timeline_tells_what_happened_oldest_first(
    client: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    placed = await post_order(client, ("APPLE", 2), ("PEAR", 1))
    await run_stages(database, settings)

    answer = await client.get(f"{placed.headers['location']}/events")

    told = answer.json()["events"]
    assert [(e["version"], e["kind"], e["status"]) for e in told] == [
        (1, "order_placed", "placed"),
        (2, "stock_reserved", "reserved"),
        (3, "order_paid", "paid"),
    ]
    assert told[0]["data"] == {"lines": 2, "total_minor": 1499, "currency": "GBP"}
    assert told[2]["data"]["amount_minor"] == 1499
    assert [e["at"] for e in told] == sorted(e["at"] for e in told)
    assert told[0]["at"] >= placed.json()["created_at"]


# Cancelling


@pytest.mark.parametrize("status", ["placed", "reserved", "paid"])
async def test_an_order_is_cancelled_once_and_what_it_held_is_given_back(
    client: httpx.AsyncClient,
    database: Database,
    settings: Settings,
    staff: dict[str, str],
    status: str,
) -> None:
    location = (await post_order(client, ("APPLE", 2))).headers["location"]
    if status == "reserved":
        await drain_inventory(database)
    if status == "paid":
        await run_stages(database, settings)
    assert (await client.get(location)).json()["status"] == status

    cancelled = await client.post(f"{location}/cancel")
    again = await client.post(f"{location}/cancel")
    await settle_payments(database, settings, InstantGateway())

    assert (cancelled.status_code, again.status_code) == (200, 200)
    assert (
        cancelled.json()
        == again.json()
        == unlinked((await client.get(location)).json())
        | {
            "version": cancelled.json()["version"],
            "updated_at": cancelled.json()["updated_at"],
        }
    )
    assert cancelled.json()["status"] == "cancelled"
    assert cancelled.json()["cancel_reason"] == "staff"
    stock = (await client.get("/v1/stock/APPLE", headers=staff)).json()
    assert (stock["on_hand"], stock["reserved"]) == (100, 0)
    kinds = [e["kind"] for e in (await client.get(f"{location}/events")).json()["events"]]
    assert kinds.count("order_cancelled") == 1
    assert ("payment_refunded" in kinds) == (status == "paid")


async def test_twenty_cancellations_at_once_are_one(client: httpx.AsyncClient) -> None:
    location = (await post_order(client, ("APPLE", 2))).headers["location"]

    answers = await asyncio.gather(*(client.post(f"{location}/cancel") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    told = (await client.get(f"{location}/events")).json()["events"]
    assert [e["kind"] for e in told] == ["order_placed", "order_cancelled"]


async def test_an_order_that_we_cancelled_keeps_its_reason(
    client: httpx.AsyncClient, database: Database
) -> None:
    location = (await post_order(client, ("APPLE", 101))).headers["location"]
    await drain_inventory(database)

    answer = await client.post(f"{location}/cancel")

    assert answer.status_code == 200
    assert answer.json()["cancel_reason"] == "out_of_stock"
    told = (await client.get(f"{location}/events")).json()["events"]
    assert told[-1]["data"]["short"] == [{"sku": "APPLE", "wanted": 101, "available": 100}]


async def test_an_order_that_has_shipped_cannot_be_cancelled(
    client: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    location = (await post_order(client, ("APPLE", 2))).headers["location"]
    await run_stages(database, settings)
    async with transaction(database) as tx:
        await tx.execute(tables.orders.update().values(status="shipped"))
    before = await rows(database)

    answer = await client.post(f"{location}/cancel")

    assert_problem(answer, 409, "illegal_move")
    assert (await client.get(location)).json()["status"] == "shipped"
    assert await rows(database) == before


async def test_an_unknown_order_cannot_be_cancelled(client: httpx.AsyncClient) -> None:
    assert_problem(await client.post(f"/v1/orders/{new_id()}/cancel"), 404, "not_found")
    assert_problem(await client.post("/v1/orders/1/cancel"), 404, "not_found")


async def test_prices_of_placed_orders_stay_when_the_catalogue_changes(
    client: httpx.AsyncClient, database: Database, staff: dict[str, str]
) -> None:
    before = await post_order(client, ("APPLE", 2))
    await put_products(database, APPLE=100)
    changed = {"name": "Apple", "price_minor": 1, "currency": "GBP"}
    await client.put("/v1/variants/APPLE", json=changed, headers=staff)

    after = await post_order(client, ("APPLE", 2))

    read = (await client.get(before.headers["location"])).json()
    assert (read["total_minor"], read["lines"][0]["unit_minor"]) == (500, 250)
    assert after.json()["total_minor"] == 2
