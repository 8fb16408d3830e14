"""Carts over HTTP: filled, looked at at today's prices, merged at the login, and nobody else's."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from api.carts import TOKEN_HEADER
from db import erasure, variants
from db.engine import Database, transaction
from db.ids import new_id
from domain.cart import LINES_MAX, QUANTITY_MAX
from tests.api.people import Person, a_person
from tests.builders import a_product, put_product
from tests.people import PASSWORD, someone
from tests.web import assert_problem, rows


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    async with transaction(database) as tx:
        await put_product(tx, "APPLE", price_minor=250, on_hand=10)
        await put_product(tx, "PEAR", price_minor=999, on_hand=10)
        await put_product(tx, "EURO", currency="EUR")
        await put_product(tx, "GONE", active=False)


@pytest.fixture
async def ann(app: Litestar) -> Person:
    return await a_person(app)


async def opened(
    client: httpx.AsyncClient, headers: Mapping[str, str] | None = None
) -> tuple[str, dict[str, str]]:
    """Open a cart; returns its path and the headers that open it."""
    answer = await client.post("/v1/carts", json={"currency": "GBP"}, headers=headers)
    assert answer.is_success, answer.text
    token = answer.headers.get(TOKEN_HEADER)
    return answer.headers["location"], {TOKEN_HEADER: token} if token else dict(headers or {})


async def put(
    client: httpx.AsyncClient,
    cart: tuple[str, dict[str, str]],
    sku: str,
    quantity: int,
    **more: str,
) -> httpx.Response:
    path, headers = cart
    body = {"quantity": quantity}
    return await client.put(f"{path}/lines/{sku}", json=body, headers=headers | more)


async def look(client: httpx.AsyncClient, cart: tuple[str, dict[str, str]]) -> dict[str, Any]:
    answer = await client.get(cart[0], headers=cart[1])
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    return answer.json()


def quantities(cart: Mapping[str, Any]) -> dict[str, int]:
    return {line["sku"]: line["quantity"] for line in cart["lines"]}


# Filling


async def test_cart_is_filled_changed_and_emptied(stranger: httpx.AsyncClient) -> None:
    cart = await opened(stranger)
    path, headers = cart

    await put(stranger, cart, "PEAR", 2)
    again = await put(stranger, cart, "PEAR", 2)
    added = await stranger.post(
        f"{path}/lines", json={"sku": "APPLE", "quantity": 3}, headers=headers
    )
    more = await stranger.post(f"{path}/lines", json={"sku": "APPLE"}, headers=headers)
    less = await put(stranger, cart, "PEAR", 1)
    without = await stranger.delete(f"{path}/lines/APPLE", headers=headers)
    cleared = await stranger.delete(f"{path}/lines", headers=headers)
    unchanged = await stranger.delete(f"{path}/lines", headers=headers)

    told = [quantities(a.json()) for a in (again, added, more, less, without, cleared)]
    assert told == [
        {"PEAR": 2},
        {"PEAR": 2, "APPLE": 3},
        {"PEAR": 2, "APPLE": 4},
        {"PEAR": 1, "APPLE": 4},
        {"PEAR": 1},
        {},
    ]
    assert more.json()["goods_minor"] == 2 * 999 + 4 * 250
    assert unchanged.json() == cleared.json()


@pytest.mark.parametrize(
    ("sku", "code"),
    [("NOPE", "unknown_sku"), ("GONE", "product_inactive"), ("EURO", "currency_mismatch")],
)
async def test_what_cannot_be_ordered_is_not_taken(
    stranger: httpx.AsyncClient, sku: str, code: str
) -> None:
    cart = await opened(stranger)

    assert_problem(await put(stranger, cart, sku, 1), 422, code, "sku")
    assert (await look(stranger, cart))["lines"] == []


async def test_country_that_is_none_is_refused_with_what_one_looks_like(
    stranger: httpx.AsyncClient,
) -> None:
    path, headers = await opened(stranger)

    refused = await stranger.get(path, headers=headers, params={"country": "XX"})

    assert_problem(refused, 400, "invalid_request", "country")
    assert "ISO 3166-1 in capitals" in refused.json()["detail"]


async def test_change_goes_through_only_if_its_sender_saw_the_last_version(
    stranger: httpx.AsyncClient,
) -> None:
    cart = await opened(stranger)
    seen = (await put(stranger, cart, "APPLE", 1)).headers["etag"]
    path, add, headers = f"{cart[0]}/lines", {"sku": "APPLE"}, cart[1] | {"If-Match": seen}

    once = await stranger.post(path, json=add, headers=headers)
    twice = await stranger.post(path, json=add, headers=headers)

    assert quantities(once.json()) == {"APPLE": 2}
    assert_problem(twice, 412, "precondition_failed")


async def test_cart_is_bounded(stranger: httpx.AsyncClient, database: Database) -> None:
    cart = await opened(stranger)
    await put(stranger, cart, "APPLE", QUANTITY_MAX)
    async with transaction(database) as tx:
        filled = "INSERT INTO cart_lines SELECT id, 'SKU-' || n, 1 FROM carts, {}"
        await tx.execute(text(filled.format(f"generate_series(2, {LINES_MAX}) n")))

    one_more = await put(stranger, cart, "PEAR", 1)
    too_many = await stranger.post(f"{cart[0]}/lines", json={"sku": "APPLE"}, headers=cart[1])

    assert_problem(one_more, 422, "cart_full")
    assert_problem(too_many, 422, "cart_full", "quantity")
    assert (await put(stranger, cart, "APPLE", 1)).status_code == 200


# Looking


async def test_what_changed_since_the_last_view_is_pointed_out_once(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    cart = await opened(stranger)
    for sku in ("APPLE", "PEAR"):
        await put(stranger, cart, sku, 3)
    before = await look(stranger, cart)
    async with transaction(database) as tx:
        await variants.put(tx, a_product("APPLE", price_minor=200))
        await tx.execute(text("UPDATE stock SET on_hand = 2 WHERE sku = 'PEAR'"))

    first, second = await look(stranger, cart), await look(stranger, cart)

    assert [line["changes"] for line in before["lines"]] == [[], []]
    apple, pear = first["lines"]
    assert (apple["changes"], apple["was_minor"], apple["unit_minor"]) == (["price_down"], 250, 200)
    assert (pear["changes"], pear["availability"], pear["available"]) == (["limited"], "limited", 2)
    assert first["goods_minor"] == 3 * 200 + 3 * 999
    assert first["version"] == before["version"] + 1
    assert [line["changes"] for line in second["lines"]] == [[], []]
    assert second["version"] == first["version"]


async def test_line_that_is_not_for_sale_any_more_costs_nothing_and_says_so(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    cart = await opened(stranger)
    await put(stranger, cart, "APPLE", 3)
    async with transaction(database) as tx:
        await variants.put(tx, a_product("APPLE", active=False))
    gone = await look(stranger, cart)
    async with transaction(database) as tx:
        await variants.put(tx, a_product("APPLE", price_minor=300))
    back = await look(stranger, cart)

    assert (gone["lines"][0]["changes"], gone["goods_minor"]) == (["not_for_sale"], 0)
    assert back["lines"][0]["changes"] == ["price_up", "in_stock"]
    assert back["lines"][0]["was_minor"] == 250


# Whose


async def test_account_has_one_open_cart(
    stranger: httpx.AsyncClient, ann: Person, database: Database
) -> None:
    nobody = await stranger.get("/v1/carts/mine", headers=ann.headers)
    body = {"currency": "GBP"}
    made, again = [
        await stranger.post("/v1/carts", json=body, headers=ann.headers) for _ in range(2)
    ]
    mine = await stranger.get("/v1/carts/mine", headers=ann.headers)

    assert_problem(nobody, 404, "not_found")
    assert [made.status_code, again.status_code] == [201, 200]
    assert made.json() == again.json() == mine.json()
    assert TOKEN_HEADER not in made.headers
    assert (await rows(database))["carts"] == 1


async def test_account_buys_in_another_currency_once_its_cart_is_empty(
    stranger: httpx.AsyncClient, ann: Person
) -> None:
    mine = await opened(stranger, ann.headers)

    async def ask(currency: str) -> str:
        body = {"currency": currency}
        answer = await stranger.post("/v1/carts", json=body, headers=ann.headers)
        assert (answer.status_code, answer.headers["location"]) == (200, mine[0])
        assert answer.json() == await look(stranger, mine)
        return answer.json()["currency"]

    empty = await ask("EUR")
    put_in = await put(stranger, mine, "EURO", 1)
    filled = await ask("GBP")

    assert (empty, put_in.status_code, filled) == ("EUR", 200, "EUR")


async def test_cart_of_somebody_else_is_as_if_it_were_not_there(
    stranger: httpx.AsyncClient, client: httpx.AsyncClient, app: Litestar, ann: Person
) -> None:
    eve = (await a_person(app)).headers
    guests, anns = await opened(stranger), await opened(stranger, ann.headers)
    eves = await opened(stranger, eve)
    other = await opened(stranger)
    nowhere = f"/v1/carts/{new_id()}"

    for path, headers in (
        (guests[0], {}),
        (guests[0], other[1]),
        (guests[0], {TOKEN_HEADER: guests[1][TOKEN_HEADER][:-1]}),
        (guests[0], eve),
        (anns[0], {}),
        (anns[0], eve),
        (anns[0], guests[1]),
        (eves[0], ann.headers),
        (nowhere, guests[1]),
    ):
        for method, at, body in (
            ("GET", "", None),
            ("POST", "/lines", {"sku": "APPLE"}),
            ("PUT", "/lines/APPLE", {"quantity": 1}),
            ("DELETE", "/lines/APPLE", None),
            ("DELETE", "/lines", None),
        ):
            answer = await stranger.request(method, path + at, headers=headers, json=body)
            assert_problem(answer, 404, "not_found")
    # Nor is it there for staff, who have no business in it.
    assert_problem(await client.get(guests[0]), 404, "not_found")


@pytest.mark.parametrize("token", ["", "x" * 4000, "of_cart_\xe9", "of_cart_, of_cart_"])
async def test_token_that_is_none_keeps_no_connection(
    stranger: httpx.AsyncClient, app: Litestar, token: str
) -> None:
    cart = await opened(stranger)
    header = [(TOKEN_HEADER.encode(), token.encode("latin-1"))]

    for _ in range(app.state.settings.database_pool_max + 1):
        assert_problem(await stranger.get(cart[0], headers=header), 404, "not_found")

    assert (await look(stranger, cart))["state"] == "open"


async def test_token_is_kept_as_a_hash_only(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    _, headers = await opened(stranger)
    token = headers[TOKEN_HEADER]

    async with transaction(database) as tx:
        kept = await tx.scalar(text("SELECT c::text FROM carts c"))

    assert token.startswith("of_cart_")
    assert len(token) >= len("of_cart_") + 43
    assert token.encode().hex() not in str(kept)
    assert token not in str(kept)


# Merging


async def test_cart_of_a_guest_goes_into_that_of_the_account_once(
    stranger: httpx.AsyncClient, ann: Person
) -> None:
    mine, guests = await opened(stranger, ann.headers), await opened(stranger)
    for cart, sku, quantity in (
        (mine, "APPLE", 2),
        (mine, "PEAR", 5),
        (guests, "PEAR", 4),
        (guests, "APPLE", 3),
    ):
        await put(stranger, cart, sku, quantity)
    both = guests[1] | ann.headers

    merged = await stranger.post(f"{guests[0]}/merge", headers=both)
    await put(stranger, mine, "APPLE", 1)
    again = await stranger.post(f"{guests[0]}/merge", headers=both)

    assert merged.json()["id"] == mine[0].rpartition("/")[2]
    assert quantities(merged.json()) == {"APPLE": 3, "PEAR": 5}
    assert quantities(again.json()) == {"APPLE": 1, "PEAR": 5}
    assert (await look(stranger, guests))["state"] == "merged"
    assert_problem(await put(stranger, guests, "APPLE", 1), 409, "cart_closed")


async def test_cart_of_a_guest_becomes_the_one_of_an_account_without_any(
    stranger: httpx.AsyncClient, ann: Person
) -> None:
    guests = await opened(stranger)
    await put(stranger, guests, "APPLE", 2)

    without_token = await stranger.post(f"{guests[0]}/merge", headers=ann.headers)
    merged = await stranger.post(f"{guests[0]}/merge", headers=guests[1] | ann.headers)
    mine = await stranger.get("/v1/carts/mine", headers=ann.headers)

    assert_problem(without_token, 404, "not_found")
    assert quantities(merged.json()) == {"APPLE": 2}
    assert mine.json() == merged.json()


async def test_cart_of_a_guest_in_another_currency_stays_for_sale_in_an_empty_one(
    stranger: httpx.AsyncClient, ann: Person
) -> None:
    guests = await opened(stranger)
    await put(stranger, guests, "APPLE", 2)
    await stranger.post("/v1/carts", json={"currency": "EUR"}, headers=ann.headers)

    merged = await stranger.post(f"{guests[0]}/merge", headers=guests[1] | ann.headers)

    assert (merged.json()["currency"], merged.json()["total_minor"]) == ("GBP", 2 * 250)


async def test_login_takes_the_cart_of_a_guest_along_and_fails_for_none(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    guests = await opened(stranger)
    await put(stranger, guests, "APPLE", 2)
    body = {"email": "ann@example.com", "password": PASSWORD}
    token = guests[1][TOKEN_HEADER]

    for sent in (token, token, token[:-1] + "~", f"{token[:-1]}A", "none"):
        answer = await stranger.post("/v1/sessions", json=body, headers={TOKEN_HEADER: sent})
        assert answer.status_code == 201, answer.text
        ann = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    mine = await stranger.get("/v1/carts/mine", headers=ann)
    assert quantities(mine.json()) == {"APPLE": 2}
    assert (await look(stranger, guests))["state"] == "merged"


async def test_merged_cart_is_not_there_for_another_account(
    stranger: httpx.AsyncClient, app: Litestar, ann: Person
) -> None:
    guests = await opened(stranger)
    await stranger.post(f"{guests[0]}/merge", headers=guests[1] | ann.headers)
    eve = await a_person(app)

    stolen = await stranger.post(f"{guests[0]}/merge", headers=guests[1] | eve.headers)

    assert_problem(stolen, 404, "not_found")
    assert guests[0].rpartition("/")[2] in stolen.json()["detail"]


# The end


async def test_export_has_the_carts_of_an_account_and_erasing_deletes_them(
    stranger: httpx.AsyncClient, ann: Person, database: Database
) -> None:
    guests, mine = await opened(stranger), await opened(stranger, ann.headers)
    await put(stranger, mine, "APPLE", 2)
    await stranger.post(f"{guests[0]}/merge", headers=guests[1] | ann.headers)

    export = await stranger.get("/v1/users/me/export", headers=ann.headers)
    async with transaction(database) as tx:
        await erasure.erase(tx, ann.id)

    assert [quantities(cart) for cart in export.json()["carts"]] == [{"APPLE": 2}]
    assert (await rows(database))["carts"] == 0
