"""Discounts over HTTP: set up by staff, given to carts and orders, and given back."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from db.engine import Database, transaction
from tests.api.test_checkouts import a_cart, check_out
from tests.builders import put_product
from tests.web import assert_problem, post_order, rows

TEN = {"kind": "percentage", "value": 1000}


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    async with transaction(database) as tx:
        await put_product(tx, "APPLE", price_minor=250, on_hand=1000)
        await put_product(tx, "PEAR", price_minor=999, on_hand=1000)


async def put(client: httpx.AsyncClient, slug: str, **content: Any) -> httpx.Response:
    headers = content.pop("headers", {})
    return await client.put(f"/v1/discounts/{slug}", json={**TEN, **content}, headers=headers)


# Setting up


async def test_discount_is_put_read_listed_changed_and_taken_out(
    client: httpx.AsyncClient,
) -> None:
    made = await put(client, "ten", code="Ten-Off", skus=["PEAR", "APPLE", "PEAR"])
    changed = await put(client, "ten", value=500, headers={"If-Match": made.headers["etag"]})
    stale = await put(client, "ten", value=1, headers={"If-Match": made.headers["etag"]})
    await put(client, "five", value=500)
    first = await client.get("/v1/discounts", params={"limit": 1})
    rest = await client.get(first.links["next"]["url"])
    gone = [await client.delete("/v1/discounts/ten") for _ in range(2)]
    back = await put(client, "ten", code="TEN-OFF")

    assert made.status_code == 201
    assert made.json() | {"id": ""} == {
        "id": "",
        "slug": "ten",
        "code": "TEN-OFF",
        "kind": "percentage",
        "value": 1000,
        "currency": None,
        "skus": ["APPLE", "PEAR"],
        "minimum_minor": 0,
        "combines": True,
        "starts_at": None,
        "ends_at": None,
        "uses_max": None,
        "uses_per_customer_max": None,
        "uses": 0,
        "version": 1,
    }
    assert (changed.status_code, changed.json()["code"], changed.json()["version"]) == (
        200,
        None,
        2,
    )
    assert_problem(stale, 412, "precondition_failed")
    listed = [each["slug"] for page in (first, rest) for each in page.json()["discounts"]]
    assert listed == ["five", "ten"]
    assert [answer.status_code for answer in gone] == [204, 204]
    assert (back.status_code, back.json()["version"]) == (201, 4)


@pytest.mark.parametrize(
    ("content", "status", "field"),
    [
        ({"value": 0}, 422, "value"),
        ({"value": 10_001}, 422, "value"),
        ({"kind": "fixed", "value": 5}, 422, "value"),
        ({"kind": "fixed", "value": 0, "currency": "GBP"}, 422, "value"),
        ({"kind": "free_shipping", "value": 5}, 422, "value"),
        ({"minimum_minor": 5}, 422, "currency"),
        (
            {"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"},
            422,
            "ends_at",
        ),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, 422, "starts_at"),
        ({"ends_at": "9999-12-31T23:59:59-14:00"}, 422, "ends_at"),
        ({"code": "NO SPACES"}, 400, "code"),
        ({"kind": "half"}, 400, "kind"),
        ({"uses_max": 0}, 400, "uses_max"),
        ({"starts_at": "2026-01-02T00:00:00"}, 400, "starts_at"),
    ],
)
async def test_discount_that_makes_no_sense_is_refused_with_the_field_at_fault(
    client: httpx.AsyncClient, content: dict[str, Any], status: int, field: str
) -> None:
    refused = await put(client, "odd", **content)

    code = {400: "invalid_request", 422: "discount_misfit"}[status]
    assert_problem(refused, status, code, field)


async def test_code_is_of_one_discount_in_whatever_case(client: httpx.AsyncClient) -> None:
    await put(client, "ten", code="ten")

    taken = await put(client, "other", code="TEN")
    await client.delete("/v1/discounts/ten")
    free = await put(client, "other", code="TEN")

    assert_problem(taken, 409, "discount_code_taken", "code")
    assert free.status_code == 201


# Orders


async def test_code_takes_something_off_an_order_and_is_kept_with_it(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put(client, "ten", code="TEN")

    accepted = await post_order(client, ("APPLE", 3), ("PEAR", 1), discount_codes=["ten", "TEN"])

    order = accepted.json()
    # 10 % of 17.49 are 1.75, of which each line carries its share, to the penny.
    assert (order["discount_minor"], order["total_minor"]) == (175, 1574)
    assert order["discounts"] == [{"slug": "ten", "code": "TEN", "amount_minor": 175}]
    assert [line["discount_minor"] for line in order["lines"]] == [75, 100]
    await client.delete("/v1/discounts/ten")
    read = (await client.get(accepted.headers["location"])).json()
    assert {name: read[name] for name in order} == order
    async with transaction(database) as tx:
        found = await tx.execute(text("SELECT mailbox, amount_minor FROM discount_redemptions"))
    assert found.all() == [("ann@example.com", 175)]


async def test_discount_without_a_code_is_given_by_itself(client: httpx.AsyncClient) -> None:
    await put(client, "over-five", minimum_minor=500, currency="GBP")
    await put(client, "next-year", starts_at="2999-01-01T00:00:00Z")

    small = await post_order(client, ("APPLE", 1))
    large = await post_order(client, ("APPLE", 2))

    assert [a.json()["total_minor"] for a in (small, large)] == [250, 450]


@pytest.mark.parametrize(
    ("content", "codes", "status", "code"),
    [
        ({}, ["NOPE"], 422, "unknown_discount_code"),
        ({"skus": ["PEAR"]}, ["TEN"], 422, "discount_not_applicable"),
        ({"currency": "EUR"}, ["TEN"], 422, "discount_not_applicable"),
        ({"ends_at": "2026-01-01T00:00:00Z"}, ["TEN"], 422, "discount_not_applicable"),
        ({"value": 10_000}, ["TEN"], 422, "nothing_to_pay"),
    ],
)
async def test_code_that_does_not_count_refuses_the_order(  # noqa: PLR0913, PLR0917 - a table
    client: httpx.AsyncClient,
    database: Database,
    content: dict[str, Any],
    codes: list[str],
    status: int,
    code: str,
) -> None:
    await put(client, "ten", **{"code": "TEN", **content})

    refused = await post_order(client, ("APPLE", 1), discount_codes=codes)

    assert_problem(refused, status, code, "discount_codes")
    counted = await rows(database)
    assert (counted["orders"], counted["discount_redemptions"]) == (0, 0)


async def test_limit_counts_customers_by_mailbox_and_a_cancelled_order_gives_back(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put(client, "once", code="ONCE", uses_per_customer_max=1, uses_max=2)

    async def order(email: str) -> httpx.Response:
        return await post_order(stranger, ("APPLE", 1), email=email, discount_codes=["ONCE"])

    first = await order("ann.lee@gmail.com")
    again = await order("AnnLee+shop@googlemail.com")
    other = await order("bob@example.com")
    third = await order("cat@example.com")
    cancelled = await client.post(f"{first.headers['location']}/cancel")
    after = await order("annlee@gmail.com")
    read = await client.get("/v1/discounts/once")

    assert [a.status_code for a in (first, other, cancelled, after)] == [202, 202, 200, 202]
    assert_problem(again, 409, "discount_used_up", "discount_codes")
    assert_problem(third, 409, "discount_used_up", "discount_codes")
    assert read.json()["uses"] == 2
    assert_problem(await put(client, "once", uses_max=1), 409, "discount_in_use", "uses_max")


async def test_limit_that_comes_later_counts_what_was_given_before(
    client: httpx.AsyncClient,
) -> None:
    await put(client, "ten", code="TEN")
    for _ in range(2):
        await post_order(client, ("APPLE", 1), discount_codes=["TEN"])
    await put(client, "ten", code="TEN", uses_max=3)

    answers = [await post_order(client, ("APPLE", 1), discount_codes=["TEN"]) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 409]


# Carts


async def test_cart_shows_what_its_codes_take_off_and_why_one_does_not(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put(client, "ten", code="TEN")
    await put(client, "pears", code="PEARS", skus=["PEAR"])
    path, headers = await a_cart(stranger, ("APPLE", 3))

    unknown = await stranger.put(f"{path}/codes/NOPE", headers=headers)
    for code in ("ten", "TEN", "pears"):
        shown = await stranger.put(f"{path}/codes/{code}", headers=headers)
    refused = await check_out(stranger, (path, headers), 675)
    without = await stranger.delete(f"{path}/codes/pears", headers=headers)
    accepted = await check_out(stranger, (path, headers), 675)

    assert_problem(unknown, 422, "unknown_discount_code", "code")
    view = shown.json()
    assert [(each["code"], each["problem"]) for each in view["codes"]] == [
        ("TEN", None),
        ("PEARS", "discount_not_applicable"),
    ]
    assert (view["goods_minor"], view["discount_minor"], view["total_minor"]) == (750, 75, 675)
    assert_problem(refused, 422, "discount_not_applicable", "discount_codes")
    assert [each["code"] for each in without.json()["codes"]] == ["TEN"]
    assert (accepted.status_code, accepted.json()["discount_minor"]) == (202, 75)


async def test_cart_says_which_code_does_not_go_with_what_saves_more(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put(client, "auto")
    await put(client, "five", code="FIVE", value=500, combines=False)
    await put(client, "ship", code="SHIP", kind="free_shipping", value=0)
    await put(client, "half", code="HALF", value=5000, combines=False)
    path, headers = await a_cart(stranger, ("APPLE", 4))

    for code in ("FIVE", "SHIP"):
        outdone = await stranger.put(f"{path}/codes/{code}", headers=headers)
    alone = await stranger.put(f"{path}/codes/HALF", headers=headers)
    accepted = await check_out(stranger, (path, headers), 500)

    problems = [
        {each["code"]: each["problem"] for each in answer.json()["codes"]}
        for answer in (outdone, alone)
    ]
    unfit = "discount_not_applicable"
    assert problems[0] == {"FIVE": unfit, "SHIP": None}
    assert problems[1] == {"FIVE": unfit, "SHIP": unfit, "HALF": None}
    assert accepted.status_code == 202


async def test_cart_that_costs_nothing_by_its_codes_says_why_it_is_not_ordered(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put(client, "all", code="ALL", value=10_000)
    path, headers = await a_cart(stranger, ("APPLE", 1))

    shown = await stranger.put(f"{path}/codes/ALL", headers=headers)
    refused = await check_out(stranger, (path, headers), shown.json()["total_minor"])

    assert_problem(refused, 422, "nothing_to_pay", "discount_codes")
