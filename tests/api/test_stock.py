import asyncio
from typing import Any

import httpx
import pytest

from db import reservations, stock
from db.engine import Database, transaction
from domain.stock import ON_HAND_MAX
from tests.builders import put_products
from tests.postgres import until, waiting_for_locks
from tests.stages import drain_inventory
from tests.web import assert_problem, post_order

PATH = "/v1/stock/APPLE"


async def put(
    client: httpx.AsyncClient, staff: dict[str, str], on_hand: Any, **headers: str
) -> httpx.Response:
    sent = staff | {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.put(PATH, json={"on_hand": on_hand}, headers=sent)


@pytest.fixture
async def apple(client: httpx.AsyncClient, staff: dict[str, str]) -> None:
    """A product of which there never was any stock."""
    content = {"name": "Apple", "price_minor": 250, "currency": "GBP"}
    await client.put("/v1/variants/APPLE", json=content, headers=staff)


@pytest.mark.usefixtures("apple")
async def test_stock_is_put_then_replaced_and_read(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    created = await put(client, staff, 5)
    replaced = await put(client, staff, 7)
    read = await client.get(PATH, headers=staff)

    shown = {"sku": "APPLE", "reserved": 0, "backordered": 0, "incoming": 0, "backorder_max": 0}
    shown |= {"available_from": None, "low_at": None, "is_low": False, "locations": []}
    assert created.json() == shown | {"on_hand": 5, "available": 5, "version": 1}
    assert replaced.json() == shown | {"on_hand": 7, "available": 7, "version": 2}
    assert [a.status_code for a in (created, replaced, read)] == [201, 200, 200]
    assert [a.headers["etag"] for a in (created, replaced, read)] == ['"1"', '"2"', '"2"']
    assert read.content == replaced.content


async def test_there_is_no_stock_of_what_is_no_product(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    assert_problem(await client.get(PATH, headers=staff), 404, "not_found")
    assert_problem(await put(client, staff, 5), 404, "not_found")


@pytest.mark.usefixtures("apple")
async def test_a_product_may_have_no_stock_yet(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    assert_problem(await client.get(PATH, headers=staff), 404, "not_found")


@pytest.mark.usefixtures("apple")
@pytest.mark.parametrize(
    "on_hand", [-1, ON_HAND_MAX + 1, 2**63, 10**30, 1.0, "5", True, None, [], {}]
)
async def test_what_is_on_hand_is_a_whole_number_within_bounds(
    client: httpx.AsyncClient, staff: dict[str, str], on_hand: Any
) -> None:
    answer = await put(client, staff, on_hand)

    assert_problem(answer, 400, "invalid_request", "on_hand")
    assert (await client.get(PATH, headers=staff)).status_code == 404


@pytest.mark.usefixtures("apple")
@pytest.mark.parametrize("on_hand", [0, 1, ON_HAND_MAX])
async def test_stock_may_be_nothing_and_much(
    client: httpx.AsyncClient, staff: dict[str, str], on_hand: int
) -> None:
    assert (await put(client, staff, on_hand)).json()["on_hand"] == on_hand


@pytest.mark.usefixtures("apple")
@pytest.mark.parametrize("name", ["reserved", "version", "sku", "available"])
async def test_what_orders_hold_is_not_for_staff_to_say(
    client: httpx.AsyncClient, staff: dict[str, str], name: str
) -> None:
    answer = await client.put(PATH, json={"on_hand": 5, name: 1}, headers=staff)

    assert_problem(answer, 400, "invalid_request", name)
    assert (await client.get(PATH, headers=staff)).status_code == 404


async def test_stock_cannot_fall_below_what_orders_hold(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=10)
    await post_order(client, ("APPLE", 4))
    await drain_inventory(database)

    below = await put(client, staff, 3)
    level = await put(client, staff, 4)

    assert_problem(below, 409, "stock_below_reserved")
    assert (level.json()["on_hand"], level.json()["reserved"]) == (4, 4)


async def test_a_change_goes_through_only_if_its_sender_saw_the_last_version(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=10)
    seen = (await client.get(PATH, headers=staff)).headers["etag"]
    await post_order(client, ("APPLE", 4))
    await drain_inventory(database)

    overtaken = await put(client, staff, 20, If_Match=seen)
    newest = (await client.get(PATH, headers=staff)).headers["etag"]
    changed = await put(client, staff, 20, If_Match=newest)

    assert_problem(overtaken, 412, "precondition_failed")
    assert changed.status_code == 200
    assert changed.json()["on_hand"] == 20


async def test_who_has_the_version_gets_no_second_copy(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=10)

    same = await client.get(PATH, headers=staff | {"If-None-Match": '"1"'})

    assert (same.status_code, same.content) == (304, b"")


async def test_of_ten_changes_at_once_to_one_version_one_goes_through(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=10)

    answers = await asyncio.gather(*(put(client, staff, n, If_Match='"1"') for n in range(10)))

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    [won] = [answer for answer in answers if answer.status_code == 200]
    assert (await client.get(PATH, headers=staff)).json() == won.json()


async def test_a_creation_that_was_overtaken_while_it_waited_replaces_nothing(
    client: httpx.AsyncClient, staff: dict[str, str], apple: None, database: Database
) -> None:
    del apple

    async def is_waiting() -> bool:
        return await waiting_for_locks(database) > 0

    async with transaction(database) as tx:
        await stock.put(tx, "APPLE", 77)
        creating = asyncio.create_task(put(client, staff, 5, If_None_Match="*"))
        await until(is_waiting)

    assert_problem(await creating, 412, "precondition_failed")
    assert (await client.get(PATH, headers=staff)).json()["on_hand"] == 77


async def test_what_a_change_replaced_is_written_down_however_long_it_waited(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=10)

    async def is_waiting() -> bool:
        return await waiting_for_locks(database) > 0

    async with transaction(database) as tx:
        await stock.put(tx, "APPLE", 77)
        changing = asyncio.create_task(put(client, staff, 5))
        await until(is_waiting)

    assert (await changing).status_code == 200
    audited = await client.get("/v1/audit", params={"target": "APPLE"}, headers=staff)
    [entry] = audited.json()["entries"]
    assert (entry["before"]["on_hand"], entry["after"]["on_hand"]) == (77, 5)


async def test_changes_of_stock_wait_for_no_order_of_another_product(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=10, PEAR=10)

    async with transaction(database) as tx:
        await reservations.lock(tx, ["PEAR"])
        assert (await put(client, staff, 20)).status_code == 200


async def test_stock_is_adjusted_once_per_key_with_a_reason(
    client: httpx.AsyncClient, staff: dict[str, str], database: Database
) -> None:
    await put_products(database, APPLE=10)
    keyed = staff | {"Idempotency-Key": "adjust-1"}

    answers = [
        await client.post(
            f"{PATH}/adjustments", json={"delta": -3, "reason": "Broken."}, headers=keyed
        )
        for _ in range(2)
    ]
    nothing = await client.post(
        f"{PATH}/adjustments", json={"delta": 0, "reason": "Why?"}, headers=keyed
    )

    assert [a.status_code for a in answers] == [202, 202]
    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotent-replayed"] == "true"
    assert_problem(nothing, 400, "invalid_request", "delta")
    assert (await client.get(PATH, headers=staff)).json()["on_hand"] == 7
