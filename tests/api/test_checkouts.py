"""Checkouts: a cart becomes one order, at what its customer was shown, and is closed by that."""

import asyncio
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from api.application import build
from api.carts import TOKEN_HEADER
from db import variants
from db.engine import Database, transaction
from db.ids import new_id
from domain import claim
from ops.config import Settings
from tests.api.people import Person, a_person
from tests.builders import a_product, an_order_body, put_product
from tests.web import assert_problem, rows, served

_BODY = an_order_body()
WHO: dict[str, Any] = {name: _BODY[name] for name in ("email", "payment_method", "ship_to")}

Cart = tuple[str, dict[str, str]]


@pytest.fixture
async def ann(app: Litestar) -> Person:
    return await a_person(app)


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    async with transaction(database) as tx:
        await put_product(tx, "APPLE", price_minor=250, on_hand=1000)
        await put_product(tx, "PEAR", price_minor=999, on_hand=1000)


async def a_cart(
    client: httpx.AsyncClient, *lines: tuple[str, int], headers: dict[str, str] | None = None
) -> Cart:
    """Fill a cart, of a guest unless there are headers of somebody."""
    opened = await client.post("/v1/carts", json={"currency": "GBP"}, headers=headers)
    path, token = opened.headers["location"], opened.headers.get(TOKEN_HEADER)
    given = {TOKEN_HEADER: token} if token else headers or {}
    for sku, quantity in lines:
        put = await client.put(f"{path}/lines/{sku}", json={"quantity": quantity}, headers=given)
        assert put.status_code == 200, put.text
    return path, given


async def check_out(
    client: httpx.AsyncClient,
    cart: Cart,
    total_minor: int,
    *,
    key: str | None = None,
    **changes: Any,
) -> httpx.Response:
    body = {**WHO, "expected_total_minor": total_minor, **changes}
    headers = cart[1] | {"Idempotency-Key": key or str(new_id())}
    return await client.post(f"{cart[0]}/checkout", json=body, headers=headers)


async def test_cart_becomes_an_order_and_is_closed(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    cart = await a_cart(stranger, ("PEAR", 1), ("APPLE", 3))

    accepted = await check_out(stranger, cart, 999 + 750)

    order = accepted.json()
    assert accepted.status_code == 202, accepted.text
    assert [(line["sku"], line["quantity"]) for line in order["lines"]] == [
        ("PEAR", 1),
        ("APPLE", 3),
    ]
    assert order["total_minor"] == 1749
    token = {"Authorization": f"Bearer {accepted.headers[claim.HEADER]}"}
    read = await stranger.get(accepted.headers["location"], headers=token)
    assert read.json()["status"] == "placed"
    closed = await stranger.get(cart[0], headers=cart[1])
    assert (closed.json()["state"], closed.json()["order_id"]) == ("ordered", order["id"])
    put = await stranger.put(f"{cart[0]}/lines/APPLE", json={"quantity": 1}, headers=cart[1])
    assert_problem(put, 409, "cart_closed")
    assert (await rows(database))["orders"] == 1


async def test_account_orders_its_cart_and_opens_another(
    stranger: httpx.AsyncClient, ann: Person
) -> None:
    cart = await a_cart(stranger, ("APPLE", 1), headers=ann.headers)

    accepted = await check_out(stranger, cart, 250)
    own = await stranger.get(accepted.headers["location"], headers=ann.headers)
    none = await stranger.get("/v1/carts/mine", headers=ann.headers)
    another = await a_cart(stranger, ("PEAR", 1), headers=ann.headers)

    assert own.status_code == 200
    assert claim.HEADER not in accepted.headers
    assert_problem(none, 404, "not_found")
    assert another[0] != cart[0]


async def test_cart_that_is_clicked_many_times_at_once_is_one_order(
    stranger: httpx.AsyncClient, settings: Settings, database: Database
) -> None:
    cart = await a_cart(stranger, ("APPLE", 2))
    key = str(new_id())

    async with served(build(settings), {}) as elsewhere:
        clients = [stranger, elsewhere] * 6
        answers = await asyncio.gather(
            *(check_out(client, cart, 500) for client in clients),
            check_out(stranger, cart, 500, key=key),
        )
    late = await check_out(stranger, cart, 500)

    assert {answer.status_code for answer in (*answers, late)} == {202}
    assert len({answer.content for answer in (*answers, late)}) == 1
    first = [a for a in answers if "idempotent-replayed" not in a.headers]
    assert len(first) == 1
    assert late.headers["idempotent-replayed"] == "true"
    counted = await rows(database)
    assert (counted["orders"], counted["idempotency_keys"], counted["tasks"]) == (1, 1, 1)


@pytest.mark.parametrize("claimed", [False, True])
async def test_order_of_an_account_is_not_shown_to_who_has_the_secret_of_the_cart(
    stranger: httpx.AsyncClient, app: Litestar, ann: Person, *, claimed: bool
) -> None:
    path, token = await a_cart(stranger, ("APPLE", 2))
    anns, eve = (path, token | ann.headers), (await a_person(app)).headers
    first = await check_out(stranger, (path, token) if claimed else anns, 500)
    if claimed:
        body = {"claim_token": first.headers[claim.HEADER]}
        await stranger.post(f"{first.headers['location']}/claim", json=body, headers=ann.headers)

    own = await check_out(stranger, anns, 500)
    others = [await check_out(stranger, (path, token | who), 500) for who in ({}, eve)]

    assert own.content == first.content
    for refused in others:
        assert_problem(refused, 409, "cart_closed")
        assert claim.HEADER not in refused.headers


async def test_same_key_gets_the_same_answer_and_no_other_request_does(
    stranger: httpx.AsyncClient,
) -> None:
    cart, other = await a_cart(stranger, ("APPLE", 2)), await a_cart(stranger, ("APPLE", 2))

    first = await check_out(stranger, cart, 500, key="k")
    again = await check_out(stranger, cart, 500, key="k")
    elsewhere = await check_out(stranger, other, 500, key="k")
    stolen = await check_out(stranger, (cart[0], other[1]), 500, key="k")

    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert_problem(elsewhere, 422, "idempotency_key_reused", "Idempotency-Key")
    assert_problem(stolen, 422, "idempotency_key_reused", "Idempotency-Key")
    assert (await check_out(stranger, other, 500)).status_code == 202


async def test_price_that_changed_is_told_and_nothing_is_ordered_until_it_is_accepted(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    cart = await a_cart(stranger, ("APPLE", 2))
    async with transaction(database) as tx:
        await variants.put(tx, a_product("APPLE", price_minor=300))

    refused = await check_out(stranger, cart, 500)
    cheap = await check_out(stranger, cart, 1)
    accepted = await check_out(stranger, cart, 600)

    assert_problem(refused, 409, "total_changed", "expected_total_minor")
    assert refused.json()["quote"] == {
        "goods_minor": 600,
        "discount_minor": 0,
        "shipping_minor": 0,
        "tax_minor": 0,
        "tax_included": False,
        "total_minor": 600,
    }
    assert cheap.status_code == 409
    assert accepted.json()["total_minor"] == 600
    assert (await rows(database))["orders"] == 1


async def test_version_that_was_seen_can_be_wanted(stranger: httpx.AsyncClient) -> None:
    cart = await a_cart(stranger, ("APPLE", 2))
    seen = (await stranger.get(cart[0], headers=cart[1])).headers["etag"]
    await stranger.delete(f"{cart[0]}/lines/APPLE", headers=cart[1])
    fresh = await stranger.put(f"{cart[0]}/lines/APPLE", json={"quantity": 2}, headers=cart[1])

    stale = await check_out(stranger, (cart[0], cart[1] | {"If-Match": seen}), 500)
    right = {"If-Match": fresh.headers["etag"]}

    assert_problem(stale, 412, "precondition_failed", "If-Match")
    assert (await check_out(stranger, (cart[0], cart[1] | right), 500)).status_code == 202


async def test_what_cannot_be_ordered_leaves_the_cart_open(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    empty_cart, cart = await a_cart(stranger), await a_cart(stranger, ("APPLE", 2))
    async with transaction(database) as tx:
        await variants.put(tx, a_product("APPLE", active=False))

    nothing = await check_out(stranger, empty_cart, 500)
    inactive = await check_out(stranger, cart, 500)
    theirs = await check_out(stranger, (cart[0], empty_cart[1]), 500)
    nowhere = await check_out(stranger, (f"/v1/carts/{new_id()}", cart[1]), 500)

    assert_problem(nothing, 422, "cart_empty")
    assert_problem(inactive, 422, "product_inactive", "lines[0].sku")
    assert_problem(theirs, 404, "not_found")
    assert_problem(nowhere, 404, "not_found")
    async with transaction(database) as tx:
        states = (await tx.execute(text("SELECT state FROM carts"))).scalars().all()
    assert states == ["open", "open"]


async def test_guest_who_logs_in_between_two_clicks_can_take_the_order_along(
    stranger: httpx.AsyncClient, ann: Person
) -> None:
    cart = await a_cart(stranger, ("APPLE", 2))
    anns = cart[0], cart[1] | ann.headers

    accepted = await check_out(stranger, cart, 500)
    found = await check_out(stranger, anns, 500)
    body = {"claim_token": found.headers[claim.HEADER]}
    path = f"{accepted.headers['location']}/claim"
    claimed = await stranger.post(path, json=body, headers=ann.headers)
    own = await check_out(stranger, anns, 500)

    assert found.content == own.content == accepted.content
    assert claimed.status_code == 200
    assert claim.HEADER not in own.headers
