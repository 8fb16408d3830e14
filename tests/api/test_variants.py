import asyncio
from typing import Any

import httpx
import pytest

from db import variants
from db.engine import Database, transaction
from domain.money import AMOUNT_MINOR_MAX
from domain.variant import Variant
from tests.postgres import until, waiting_for_locks
from tests.web import assert_problem

APPLE = {"name": "Apple", "price_minor": 250, "currency": "GBP"}
DETAILS: dict[str, Any] = {
    "product": None,
    "barcode": None,
    "options": {},
    "compare_at_minor": None,
    "cost_minor": None,
    "weight_g": None,
    "tax_class": "standard",
    "rank": 0,
}
PATH = "/v1/variants/APPLE"


async def put(
    client: httpx.AsyncClient,
    staff: dict[str, str],
    path: str = PATH,
    headers: dict[str, str] | None = None,
    **changes: Any,
) -> httpx.Response:
    return await client.put(path, json=APPLE | changes, headers=staff | (headers or {}))


async def test_a_product_is_created_then_replaced(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    created = await put(client, staff)
    replaced = await put(client, staff, price_minor=300, active=False)

    first = {"sku": "APPLE", "active": True, "version": 1} | APPLE | DETAILS
    second = first | {"price_minor": 300, "active": False, "version": 2}
    assert (created.status_code, created.json()) == (201, first)
    assert (replaced.status_code, replaced.json()) == (200, second)
    assert (created.headers["etag"], replaced.headers["etag"]) == ('"1"', '"2"')


async def test_everybody_may_read_a_variant_but_for_what_it_costs_the_shop(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    put_ = await put(client, staff, cost_minor=120)

    read = await stranger.get(PATH)

    known = put_.json()
    assert known.pop("cost_minor") == 120
    assert (read.status_code, read.json()) == (200, known)
    assert "no-cache" in read.headers["cache-control"]


async def test_who_has_the_version_gets_no_second_copy(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    await put(client, staff)

    same = await client.get(PATH, headers={"If-None-Match": '"1"'})
    await put(client, staff, price_minor=1)
    newer = await client.get(PATH, headers={"If-None-Match": '"1"'})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", '"1"')
    assert (newer.status_code, newer.headers["etag"]) == (200, '"2"')


@pytest.mark.parametrize("sku", ["A", "a-1.B_2", "9" * 64, "NOTHING"])
async def test_an_unknown_product_is_not_found(client: httpx.AsyncClient, sku: str) -> None:
    assert_problem(await client.get(f"/v1/variants/{sku}"), 404, "not_found")


@pytest.mark.parametrize(
    "sku", [".A", "-A", "A" * 65, "A%20B", "A%0a", "%C3%84", "A'--", "A%2e%00"]
)
async def test_a_sku_that_cannot_be_one_is_refused(
    client: httpx.AsyncClient, staff: dict[str, str], sku: str
) -> None:
    for answer in (
        await client.get(f"/v1/variants/{sku}"),
        await put(client, staff, f"/v1/variants/{sku}"),
        await client.get(f"/v1/stock/{sku}", headers=staff),
        await client.put(f"/v1/stock/{sku}", json={"on_hand": 1}, headers=staff),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert "regex" not in answer.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"price_minor": 0}, "price_minor"),
        ({"price_minor": -1}, "price_minor"),
        ({"price_minor": AMOUNT_MINOR_MAX + 1}, "price_minor"),
        ({"price_minor": 2**63}, "price_minor"),
        ({"price_minor": 2.5}, "price_minor"),
        ({"price_minor": "250"}, "price_minor"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "nul\u0000"}, "name"),
        ({"currency": "gbp"}, "currency"),
        ({"active": "yes"}, "active"),
        ({"active": 1}, "active"),
        ({"active": None}, "active"),
        ({"sku": "PEAR"}, "sku"),
        ({"name": "Apple\nPear"}, "name"),
        ({"currency": "QQQ"}, "currency"),
        ({"version": 7}, "version"),
        ({"barcode": "4006381333932"}, "barcode"),
        ({"options": {"Size": "s"}}, "options"),
        ({"cost_minor": -1}, "cost_minor"),
        ({"weight_g": -1}, "weight_g"),
        ({"tax_class": "none"}, "tax_class"),
    ],
)
async def test_a_product_has_the_form_it_must_have(
    client: httpx.AsyncClient, staff: dict[str, str], changes: dict[str, Any], field: str
) -> None:
    answer = await put(client, staff, **changes)

    assert_problem(answer, 400, "invalid_request", field)
    assert (await client.get(PATH)).status_code == 404


async def test_a_change_goes_through_only_if_its_sender_saw_the_last_version(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    await put(client, staff)

    first = await put(client, staff, headers={"If-Match": '"1"'}, price_minor=1)
    late = await put(client, staff, headers={"If-Match": '"1"'}, price_minor=2)

    assert first.headers["etag"] == '"2"'
    assert_problem(late, 412, "precondition_failed")
    assert '"2"' in late.json()["detail"]
    assert (await client.get(PATH)).json()["price_minor"] == 1


async def test_a_change_of_nothing_creates_nothing(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    assert_problem(await put(client, staff, headers={"If-Match": "*"}), 412, "precondition_failed")
    assert_problem(
        await put(client, staff, headers={"If-Match": '"1"'}), 412, "precondition_failed"
    )
    assert (await client.get(PATH)).status_code == 404


async def test_a_creation_replaces_nothing(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    created = await put(client, staff, headers={"If-None-Match": "*"})
    again = await put(client, staff, headers={"If-None-Match": "*"}, price_minor=1)

    assert created.status_code == 201
    assert_problem(again, 412, "precondition_failed")
    assert (await client.get(PATH)).json()["price_minor"] == 250


async def test_of_ten_changes_at_once_to_one_version_one_goes_through(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    await put(client, staff)

    answers = await asyncio.gather(
        *(put(client, staff, headers={"If-Match": '"1"'}, price_minor=n) for n in range(1, 11))
    )

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    [won] = [answer for answer in answers if answer.status_code == 200]
    assert (await client.get(PATH)).json() == won.json()
    assert won.json()["version"] == 2


async def test_a_creation_that_was_overtaken_while_it_waited_replaces_nothing(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    async def is_waiting() -> bool:
        return await waiting_for_locks(database) > 0

    async with transaction(database) as tx:
        await variants.put(tx, Variant("APPLE", "Theirs", 1, "GBP", active=True, version=0))
        creating = asyncio.create_task(put(client, staff, headers={"If-None-Match": "*"}))
        await until(is_waiting)

    assert_problem(await creating, 412, "precondition_failed")
    assert (await client.get(PATH)).json()["name"] == "Theirs"


async def test_change_and_deletion_at_once_wait_for_each_other_and_not_in_a_circle(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    async def is_waiting() -> bool:
        return await waiting_for_locks(database) > 0

    await client.put("/v1/products/fruit", json={"name": "Fruit"}, headers=staff)
    await put(client, staff, product="fruit")
    async with transaction(database) as tx:
        await variants.lock(tx, "APPLE")
        putting = asyncio.create_task(put(client, staff, product="fruit", price_minor=1))
        await until(is_waiting)
        await variants.withdraw(tx, "APPLE")

    assert (await putting).json()["version"] == 3


async def test_variants_that_change_places_at_once_do_not_wait_in_a_circle(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    products = ["fruit", "gifts"]
    for slug in products:
        await client.put(f"/v1/products/{slug}", json={"name": slug}, headers=staff)

    async def move(n: int, turn: int) -> int:
        product = products[(n + turn) % 2]
        return (await put(client, staff, f"/v1/variants/PEAR-{n}", product=product)).status_code

    for turn in range(6):
        moved = await asyncio.gather(*(move(n, turn) for n in range(4)))
        assert set(moved) == {200 if turn else 201}


async def test_variant_that_is_deleted_is_off_sale_until_it_is_put_again(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    await put(client, staff)

    stale = await client.delete(PATH, headers=staff | {"If-Match": '"9"'})
    gone = await client.delete(PATH, headers=staff | {"If-Match": '"1"'})
    again = await client.delete(PATH, headers=staff)
    unknown = await client.delete("/v1/variants/NOPE", headers=staff)
    read = await client.get(PATH)
    back = await put(client, staff)

    assert_problem(stale, 412, "precondition_failed")
    assert [a.status_code for a in (gone, again, unknown)] == [204, 204, 204]
    assert (read.json()["active"], read.json()["version"]) == (False, 2)
    assert (back.json()["active"], back.json()["version"]) == (True, 3)


async def test_variant_is_of_a_product_that_is_there(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    refused = await put(client, staff, product="fruit")
    await client.put("/v1/products/fruit", json={"name": "Fruit"}, headers=staff)
    taken = await put(client, staff, product="fruit", options={"size": "s"}, barcode="96385074")

    assert_problem(refused, 422, "unknown_product", "product")
    assert (taken.status_code, taken.json()["product"]) == (201, "fruit")
    assert (await client.get(PATH, headers=staff)).content == taken.content
