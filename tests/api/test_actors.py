"""The timeline says who caused what, and to whom it says so."""

from typing import Any

import httpx
import pytest
from litestar import Litestar

from db.engine import Database
from domain import claim
from domain.principal import Role
from tests.api.people import a_person
from tests.builders import put_products
from tests.staff import ADMIN
from tests.web import NOBODY, bearer, post_order


@pytest.fixture(autouse=True)
async def apples(database: Database) -> None:
    await put_products(database, APPLE=100)


async def actors(client: httpx.AsyncClient, placed: httpx.Response, **headers: Any) -> list[Any]:
    told = await client.get(f"{placed.headers['location']}/events", **headers)
    return [event.get("actor") for event in told.json()["events"]]


async def test_event_says_who_of_the_staff_and_which_customer_caused_it(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, app: Litestar
) -> None:
    ann = await a_person(app, Role.CUSTOMER)
    placed = await post_order(stranger, ("APPLE", 1), headers=ann.headers)

    await client.post(f"{placed.headers['location']}/cancel")

    assert await actors(client, placed) == [
        {"kind": "customer", "id": str(ann.id)},
        {"kind": "staff", "id": str(ADMIN), "name": "admin"},
    ]
    assert await actors(stranger, placed, headers=ann.headers) == [None, None]


async def test_guest_who_cancels_is_told_from_staff(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    placed = await post_order(stranger, ("APPLE", 1), headers=NOBODY)
    guest = bearer(placed.headers[claim.HEADER])

    await stranger.post(f"{placed.headers['location']}/cancel", headers=guest)

    assert await actors(client, placed) == [None, {"kind": "guest"}]
