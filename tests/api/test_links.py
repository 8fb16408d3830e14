"""Links of orders over HTTP: each sees what would be let in and accepted, and nothing else."""

from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.links import OPERATIONS, offered
from api.policy import POLICIES
from db.ids import new_id
from domain.action import Action
from domain.principal import Principal, PrincipalKind, Role, Scope
from tests.api.paid import Pay, ask
from tests.api.people import a_person
from tests.staff import STAFF
from tests.web import post_order

READ = {"self", "events", "payments"}
CUSTOMERS = READ | {"cancel", "payment-method"}
WITH_CLAIM = CUSTOMERS | {"claim"}
EVERYTHING = {action.value for action in Action}


def a_user(role: Role) -> Principal:
    return Principal(PrincipalKind.USER, user_id=new_id(), role=role)


def a_key_with(role: Role, *scopes: Scope) -> Principal:
    return Principal(PrincipalKind.KEY, user_id=new_id(), role=role, scopes=frozenset(scopes))


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        (Principal(), set[str]()),
        (Principal(PrincipalKind.GUEST), CUSTOMERS),
        (a_user(Role.CUSTOMER), WITH_CLAIM),
        (a_user(Role.SUPPORT), WITH_CLAIM | {"explain", "refunds"}),
        (a_user(Role.OPS), EVERYTHING),
        (a_user(Role.ADMIN), EVERYTHING),
        (a_key_with(Role.OPS, Scope.ORDERS_READ), {"self", "events"}),
        (a_key_with(Role.CUSTOMER, Scope.PAYMENTS_WRITE), {"payment-method"}),
    ],
)
def test_of_what_is_open_each_is_offered_what_the_policies_allow(
    principal: Principal, expected: set[str]
) -> None:
    order_id = new_id()

    links = offered(POLICIES, principal, order_id, frozenset(Action))

    assert links.keys() == expected
    for name, link in links.items():
        template = OPERATIONS[Action(name)].partition(" ")[2]
        assert link.href == template.replace("{order_id}", str(order_id))


def test_what_is_closed_is_offered_to_nobody() -> None:
    links = offered(POLICIES, a_user(Role.ADMIN), new_id(), frozenset({Action.SELF}))

    assert links.keys() == {"self"}


async def links(
    client: httpx.AsyncClient, location: str, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Read the links of an order, which the list shows alike."""
    shown = (await client.get(location, headers=headers)).json()
    listed = (await client.get("/v1/orders", headers=headers)).json()
    if "orders" in listed:
        assert shown in listed["orders"]
    return shown["links"]


async def test_the_offers_to_staff_follow_the_money(
    client: httpx.AsyncClient, app: Litestar, pay: Pay
) -> None:
    support = await a_person(app, Role.SUPPORT)
    location = await pay(capture="manual")

    held = await links(client, location)
    to_support = await links(client, location, support.headers)
    captured = await ask(client, held["capture"]["href"], {"amount_minor": 400})

    assert captured.status_code == 202, captured.text
    assert held.keys() == READ | {"explain", "cancel", "capture", "void"}
    assert held["self"] == {"href": location, "method": "GET"}
    assert held["cancel"] == {"href": f"{location}/cancel", "method": "POST"}
    assert to_support.keys() == READ | {"explain", "cancel"}


async def test_a_guest_is_offered_what_a_guest_may_do_until_the_order_ends(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, pay: Pay
) -> None:
    location = await pay(by=stranger)

    before = await links(stranger, location)
    unowned = await links(client, location)
    cancelled = await stranger.post(before["cancel"]["href"])

    assert cancelled.status_code == 200, cancelled.text
    assert before.keys() == READ | {"cancel"}
    assert "claim" in unowned
    assert (await links(stranger, location)).keys() == READ


async def test_an_acceptance_that_is_replayed_offers_nothing_that_may_be_over(
    client: httpx.AsyncClient, pay: Pay
) -> None:
    await pay()
    first = await post_order(client, ("APPLE", 1), key="once", headers=STAFF)
    await client.post(f"{first.headers['location']}/cancel")

    again = await post_order(client, ("APPLE", 1), key="once", headers=STAFF)

    assert "links" not in first.json()
    assert again.content == first.content


async def test_the_document_describes_links_of_orders_that_are_read(
    client: httpx.AsyncClient,
) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]

    assert "links" in schemas["LinkedOrder"]["required"]
    assert "links" not in schemas["OrderView"]["properties"]
