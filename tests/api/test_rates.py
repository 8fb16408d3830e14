"""Taxes and shipping over HTTP: rates set by staff, and orders that cost what they say."""

from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from db.engine import Database, transaction
from tests.api.test_checkouts import a_cart, check_out
from tests.builders import an_order_body, put_product
from tests.web import assert_problem, post_order

HOME: dict[str, Any] = an_order_body()["ship_to"]


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    async with transaction(database) as tx:
        await put_product(tx, "APPLE", price_minor=250, on_hand=1000)
        await put_product(tx, "PEAR", price_minor=999, on_hand=1000)


async def put_tax(client: httpx.AsyncClient, region: str, standard_ppm: int) -> httpx.Response:
    return await client.put(f"/v1/tax-rates/{region}", json={"standard_ppm": standard_ppm})


async def put_shipping(client: httpx.AsyncClient, zone: str, **content: int) -> httpx.Response:
    return await client.put(f"/v1/shipping-rates/{zone}", json=content)


def parts(order: dict[str, Any]) -> tuple[int, ...]:
    names = ("discount_minor", "shipping_minor", "tax_minor", "total_minor")
    return tuple(order[name] for name in names)


async def test_rates_are_put_read_listed_and_taken_out(client: httpx.AsyncClient) -> None:
    for path, body in (
        ("/v1/tax-rates/US-CA", {"standard_ppm": 72_500, "reduced_ppm": 0}),
        ("/v1/shipping-rates/*-GBP", {"price_minor": 499, "free_from_minor": 5000}),
    ):
        made = await client.put(path, json=body)
        changed = await client.put(path, json=body, headers={"If-Match": made.headers["etag"]})
        stale = await client.put(path, json=body, headers={"If-Match": made.headers["etag"]})
        read = await client.get(path)
        listed = await client.get(path.rpartition("/")[0])
        gone = [await client.delete(path) for _ in range(2)]

        assert (made.status_code, changed.status_code) == (201, 200)
        assert changed.json()["version"] == 2
        assert_problem(stale, 412, "precondition_failed")
        assert read.json() == changed.json()
        assert body.items() <= read.json().items()
        assert listed.json() == {"rates": [read.json()]}
        assert [answer.status_code for answer in gone] == [204, 204]
        assert_problem(await client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    ["tax-rates/gb", "tax-rates/GB-", "shipping-rates/GB", "shipping-rates/**-GBP"],
)
async def test_region_that_cannot_be_is_refused(client: httpx.AsyncClient, path: str) -> None:
    field = "region" if path.startswith("tax") else "zone"

    assert_problem(await client.get(f"/v1/{path}"), 400, "invalid_request", field)


@pytest.mark.parametrize("region", ["XX", "GB-%20", "US-%20CA", "US-CA%20"])
async def test_tax_of_no_country_or_under_another_spelling_is_not_put(
    client: httpx.AsyncClient, region: str
) -> None:
    refused = await put_tax(client, region, 1)

    assert_problem(refused, 400, "invalid_request", "region")


@pytest.mark.parametrize("zone", ["XX-GBP", "GB-XXX", "*-XXX"])
async def test_shipping_to_no_country_or_in_no_currency_is_not_put(
    client: httpx.AsyncClient, zone: str
) -> None:
    refused = await put_shipping(client, zone, price_minor=1)

    assert_problem(refused, 400, "invalid_request", "zone")


async def test_order_costs_shipping_and_tax_of_where_it_goes(client: httpx.AsyncClient) -> None:
    await put_tax(client, "GB", 200_000)
    await put_tax(client, "US-CA", 72_500)
    await put_shipping(client, "GB-GBP", price_minor=399, free_from_minor=2000)
    await put_shipping(client, "*-GBP", price_minor=999)
    abroad = HOME | {"country": "US", "region": "ca"}

    home = await post_order(client, ("APPLE", 3), ("PEAR", 1))
    free = await post_order(client, ("APPLE", 8))
    california = await post_order(client, ("APPLE", 1), ship_to=abroad)
    texas = await post_order(client, ("APPLE", 1), ship_to=abroad | {"region": "TX"})

    # (17.49 + 3.99) x 20 % = 4.296.
    assert parts(home.json()) == (0, 399, 430, 1749 + 399 + 430)
    assert [(li["tax_minor"], li["tax_ppm"]) for li in home.json()["lines"]] == [
        (150, 200_000),
        (200, 200_000),
    ]
    assert parts(free.json()) == (0, 0, 400, 2400)
    assert parts(california.json()) == (0, 999, 91, 250 + 999 + 91)
    assert parts(texas.json()) == (0, 999, 0, 1249)
    read = (await client.get(home.headers["location"])).json()
    assert {name: read[name] for name in home.json()} == home.json()


async def test_prices_that_contain_taxes_cost_no_more(
    client: httpx.AsyncClient, app: Litestar
) -> None:
    acceptance = app.state.acceptance
    app.state.settings = msgspec.structs.replace(app.state.settings, prices_include_tax=True)
    acceptance.tax_included = True

    untaxed = (await post_order(client, ("APPLE", 3))).json()
    await put_tax(client, "GB", 200_000)
    order = (await post_order(client, ("APPLE", 3), ("PEAR", 1))).json()
    path, headers = await a_cart(client, ("APPLE", 3), ("PEAR", 1))
    seen = (await client.get(path, headers=headers, params={"country": "GB"})).json()

    assert (parts(untaxed), untaxed["tax_included"]) == ((0, 0, 0, 750), True)
    # 17.49 less 17.49 / 1.2 is 2.915.
    assert (parts(order), order["tax_included"]) == ((0, 0, 292, 1749), True)
    assert (seen["tax_minor"], seen["tax_included"], seen["total_minor"]) == (292, True, 1749)


async def test_later_rates_change_no_order(client: httpx.AsyncClient) -> None:
    await put_tax(client, "GB", 200_000)
    placed = await post_order(client, ("APPLE", 4))

    await put_tax(client, "GB", 100_000)
    read = await client.get(placed.headers["location"])

    assert parts(read.json()) == (0, 0, 200, 1200)


async def test_cart_tells_shipping_and_taxes_once_it_knows_whereto(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put_tax(client, "GB", 200_000)
    await put_shipping(client, "GB-GBP", price_minor=399)
    await client.put("/v1/discounts/free", json={"kind": "free_shipping", "code": "SHIP"})
    cart = await a_cart(stranger, ("APPLE", 4))

    async def seen(**whereto: str) -> tuple[int, ...]:
        return parts((await stranger.get(cart[0], headers=cart[1], params=whereto)).json())

    nowhere, home = await seen(), await seen(country="GB")
    abroad = await seen(country="FR", region="Bretagne")
    await stranger.put(f"{cart[0]}/codes/ship", headers=cart[1])
    shipped = await seen(country="GB")
    accepted = await check_out(stranger, cart, shipped[-1])

    assert nowhere == (0, None, None, 1000)
    assert home == (0, 399, 280, 1679)
    assert abroad == (0, 0, 0, 1000)
    assert shipped == (0, 0, 200, 1200)
    assert parts(accepted.json()) == shipped
    assert accepted.json()["discounts"] == [{"slug": "free", "code": "SHIP", "amount_minor": 399}]


async def test_cart_with_nothing_in_it_is_not_shipped(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put_tax(client, "GB", 200_000)
    await put_shipping(client, "GB-GBP", price_minor=399)
    path, headers = await a_cart(stranger)

    empty = await stranger.get(path, headers=headers, params={"country": "GB"})

    assert parts(empty.json()) == (0, 0, 0, 0)
