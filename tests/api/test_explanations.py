"""Explanations as staff asks for them."""

from uuid import UUID

import httpx

from db.engine import Database
from db.ids import new_id
from domain.task import Queue
from tests.builders import a_placement, place, put_products
from tests.records import pause
from tests.stages import drain_inventory
from tests.web import assert_problem


def path(order_id: UUID) -> str:
    return f"/v1/orders/{order_id}/explain"


async def test_order_says_what_it_waits_for(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 1)))
    await pause(database, Queue.INVENTORY)

    answer = await client.get(path(order_id), headers=staff)

    told = answer.json()
    since = told.pop("since")
    assert answer.status_code == 200
    assert told.pop("sentence") == (
        f"The placed order waits since {since[:19]}Z for the reservation of its stock: queue"
        " inventory is paused until staff resumes it, PUT /v1/queues/inventory."
    )
    assert told == {
        "owner": "staff",
        "action": "PUT /v1/queues/inventory",
        "code": "queue_paused",
        "waits_for": "the reservation of its stock",
        "until": None,
    }


async def test_order_without_stock_says_which(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=1)
    [order_id] = await place(database, a_placement(("APPLE", 2)))
    await drain_inventory(database)

    told = (await client.get(path(order_id), headers=staff)).json()

    assert "because stock was short (2 of APPLE wanted and 1 for sale)" in told["sentence"]


async def test_order_that_is_not_there_cannot_be_explained(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    assert_problem(await client.get(path(new_id()), headers=staff), 404, "not_found")
