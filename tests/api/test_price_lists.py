"""Price lists over HTTP: what variants cost, for a time and in a currency."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.web import assert_problem, post_order

Staff = dict[str, str]

PATH = "/v1/price-lists/sale"
ENTRIES = f"{PATH}/entries"


async def put(
    client: httpx.AsyncClient, staff: Staff, name: str = "sale", **changes: Any
) -> httpx.Response:
    body = {"currency": "GBP"} | changes
    return await client.put(f"/v1/price-lists/{name}", json=body, headers=staff)


async def patch(
    client: httpx.AsyncClient, staff: Staff, prices: dict[str, int], *gone: str
) -> httpx.Response:
    entries = [{"sku": sku, "price_minor": price} for sku, price in prices.items()]
    return await client.patch(ENTRIES, json={"put": entries, "delete": list(gone)}, headers=staff)


@pytest.fixture
async def fruit(client: httpx.AsyncClient, staff: Staff) -> None:
    for sku in ("APPLE", "PEAR", "PLUM"):
        body = {"name": sku.title(), "price_minor": 500, "currency": "GBP"}
        await client.put(f"/v1/variants/{sku}", json=body, headers=staff)


async def total(client: httpx.AsyncClient, sku: str = "APPLE") -> int:
    answer = await post_order(client, (sku, 1))
    assert answer.status_code == 202, answer.text
    return answer.json()["total_minor"]


@pytest.mark.usefixtures("fruit")
async def test_order_costs_what_the_list_says_while_it_holds(
    client: httpx.AsyncClient, staff: Staff
) -> None:
    now = datetime.now(UTC)
    await put(client, staff)
    await patch(client, staff, {"APPLE": 400})
    sale = await total(client)
    closed = {"valid_to": (now - timedelta(hours=1)).isoformat()}
    await put(client, staff, **closed)
    over = await total(client)
    await put(client, staff, valid_from=(now - timedelta(hours=1)).isoformat())
    again = await total(client)
    await client.delete(PATH, headers=staff)
    gone = await total(client)
    restored = await put(client, staff)

    assert [sale, over, again, gone, await total(client)] == [400, 500, 400, 500, 400]
    assert (restored.status_code, restored.json()["version"]) == (201, 6)


@pytest.mark.usefixtures("fruit")
async def test_entries_are_put_changed_and_read_page_by_page(
    client: httpx.AsyncClient, staff: Staff
) -> None:
    await put(client, staff)
    one = await client.put(
        f"{ENTRIES}/PEAR", json={"price_minor": 3, "compare_at_minor": 5}, headers=staff
    )
    many = await patch(client, staff, {"APPLE": 1, "PLUM": 2, "PEAR": 4})
    first = await client.get(ENTRIES, params={"limit": 2}, headers=staff)
    link = first.headers["link"].partition(">")[0].removeprefix("<")
    rest = await client.get(link, headers=staff)
    read = await client.get(f"{ENTRIES}/PEAR", headers=staff)
    less = await patch(client, staff, {"APPLE": 9}, "PEAR")
    gone = await client.delete(f"{ENTRIES}/PLUM", headers=staff)
    again = await client.delete(f"{ENTRIES}/PLUM", headers=staff)
    left = await client.get(ENTRIES, headers=staff)

    assert (one.status_code, one.headers["etag"], many.headers["etag"]) == (201, '"2"', '"3"')
    assert [e["sku"] for p in (first, rest) for e in p.json()["entries"]] == [
        *("APPLE", "PEAR"),
        "PLUM",
    ]
    assert read.json() == {"sku": "PEAR", "price_minor": 4, "compare_at_minor": None}
    assert [a.status_code for a in (less, gone, again)] == [200, 204, 204]
    assert left.json()["entries"] == [{"sku": "APPLE", "price_minor": 9, "compare_at_minor": None}]
    assert (await client.get(PATH, headers=staff)).headers["etag"] == '"5"'


@pytest.mark.usefixtures("fruit")
async def test_patch_is_taken_whole_or_not_at_all(client: httpx.AsyncClient, staff: Staff) -> None:
    await put(client, staff)

    unknown = await patch(client, staff, {"APPLE": 1, "NOPE": 2})
    twice = await patch(client, staff, {"APPLE": 1}, "APPLE")
    free = await patch(client, staff, {"APPLE": 0})
    alone = await client.put(f"{ENTRIES}/NOPE", json={"price_minor": 1}, headers=staff)
    nowhere = await client.patch("/v1/price-lists/none/entries", json={}, headers=staff)

    assert_problem(unknown, 422, "unknown_sku", "put[1].sku")
    assert_problem(twice, 400, "invalid_request", "put")
    assert_problem(free, 400, "invalid_request", "put[0].price_minor")
    assert_problem(alone, 422, "unknown_sku", "sku")
    assert_problem(nowhere, 404, "not_found")
    assert (await client.get(ENTRIES, headers=staff)).json() == {"entries": []}


@pytest.mark.usefixtures("fruit")
async def test_change_goes_through_only_if_its_sender_saw_the_last_version(
    client: httpx.AsyncClient, staff: Staff
) -> None:
    await put(client, staff)
    seen = staff | {"If-Match": '"1"'}
    answers = await asyncio.gather(*(patch(client, seen, {"APPLE": n}) for n in range(1, 6)))

    late = await put(client, seen, priority=1)
    kept = await client.delete(PATH, headers=seen)
    unseen = await put(client, staff | {"If-None-Match": "*"})

    assert sorted(a.status_code for a in answers) == [200] + [412] * 4
    for refused in (late, kept, unseen):
        assert_problem(refused, 412, "precondition_failed")


@pytest.mark.usefixtures("fruit")
async def test_list_with_prices_keeps_its_currency(client: httpx.AsyncClient, staff: Staff) -> None:
    await put(client, staff)
    await patch(client, staff, {"APPLE": 1})

    refused = await put(client, staff, currency="EUR")
    await patch(client, staff, {}, "APPLE")
    taken = await put(client, staff, currency="EUR")

    assert_problem(refused, 409, "list_currency_fixed", "currency")
    assert taken.status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": "QQQ"},
        {"priority": 10**9},
        {"valid_from": "2026-01-01T00:00:00"},
        {"valid_from": "2026-01-02T00:00:00Z", "valid_to": "2026-01-02T00:00:00Z"},
        {"valid_to": "9999-12-31T23:59:59-23:59"},
    ],
)
async def test_list_that_cannot_be_is_refused(
    client: httpx.AsyncClient, staff: Staff, changes: dict[str, Any]
) -> None:
    refused = await put(client, staff, **changes)

    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")


async def test_lists_are_for_staff_and_listed_newest_first(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, staff: Staff
) -> None:
    for name in ("first", "second", "third"):
        await put(client, staff, name)

    page = await client.get("/v1/price-lists", params={"limit": 2}, headers=staff)
    link = page.headers["link"].partition(">")[0].removeprefix("<")
    rest = await client.get(link, headers=staff)

    assert [each["name"] for p in (page, rest) for each in p.json()["price_lists"]] == [
        *("third", "second"),
        "first",
    ]
    for path in ("/v1/price-lists", "/v1/price-lists/first", "/v1/price-lists/first/entries"):
        assert (await stranger.get(path)).status_code == 401


@pytest.mark.usefixtures("fruit")
async def test_what_is_put_into_a_list_is_in_the_log_with_what_was_there(
    client: httpx.AsyncClient, staff: Staff
) -> None:
    await put(client, staff)
    await patch(client, staff, {"APPLE": 1})
    await patch(client, staff, {"APPLE": 2}, "PEAR")

    log = await client.get("/v1/audit", params={"action": "price_list.change"}, headers=staff)

    last = log.json()["entries"][0]
    assert last["before"] == {
        "entries": [{"sku": "APPLE", "price_minor": 1, "compare_at_minor": None}]
    }
    assert last["after"] == {
        "put": [{"sku": "APPLE", "price_minor": 2, "compare_at_minor": None}],
        "delete": ["PEAR"],
    }
