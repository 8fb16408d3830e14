"""Searching over HTTP: for everybody, in pages, and whatever is typed."""

import asyncio
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text

from db.engine import Database, transaction
from tests.api.graph import ask
from tests.catalogue import Goods, put_category, put_goods, put_prices
from tests.postgres import until, waiting_for_locks
from tests.web import assert_problem


@pytest.fixture
async def stocked(database: Database) -> None:
    async with transaction(database) as tx:
        await put_category(tx, "light")
        for n, colour in enumerate(("red", "white", "blue")):
            goods = Goods(
                name=f"{colour} <b>lantern</b>",
                category="light",
                attributes={"colour": colour},
                variants={f"LAN-{n}": (100 * n + 100, n)},
            )
            await put_goods(tx, f"{colour}-lantern", goods)


@pytest.mark.usefixtures("stocked")
async def test_everybody_searches_and_follows_the_pages(stranger: httpx.AsyncClient) -> None:
    query = "/v1/search?q=lanten&currency=GBP&sort=price&limit=2&attribute=colour:red"
    first = await stranger.get(f"{query}&attribute=colour:white&attribute=colour:blue")
    second = await stranger.get(first.links["next"]["url"])

    assert (first.status_code, second.status_code) == (200, 200)
    page = first.json()
    assert (page["total"], page["total_exact"], page["corrected"]) == (3, True, "lantern")
    assert [hit["slug"] for hit in page["products"]] == ["red-lantern", "white-lantern"]
    assert page["products"][0]["price_minor"] == 100
    assert page["products"][0]["highlight"] == [
        {"text": "red <b>", "hit": False},
        {"text": "lantern", "hit": True},
        {"text": "</b>", "hit": False},
    ]
    assert page["facets"]["availability"] == [
        {"available": False, "count": 1},
        {"available": True, "count": 2},
    ]
    assert [hit["slug"] for hit in second.json()["products"]] == ["blue-lantern"]
    assert second.json()["facets"] is None
    assert "next" not in second.links


@pytest.mark.usefixtures("stocked")
async def test_cursor_of_one_search_is_none_of_another(stranger: httpx.AsyncClient) -> None:
    first = await stranger.get("/v1/search?q=lantern&limit=1")
    cursor = httpx.URL(first.links["next"]["url"]).params["cursor"]

    for other in ("q=lamp", "q=lantern&sort=name", "category=light"):
        refused = await stranger.get(f"/v1/search?{other}&cursor={cursor}")
        assert_problem(refused, 400, "invalid_cursor", "cursor")
    again = await stranger.get(f"/v1/search?q=lantern&limit=2&cursor={cursor}")
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        (f"q={'a' * 201}", 400, "q"),
        ("sort=price", 400, "currency"),
        ("price_min_minor=1", 400, "currency"),
        ("currency=gbp", 400, "currency"),
        ("currency=GBP&price_min_minor=2&price_max_minor=1", 400, "price_max_minor"),
        ("rating_min=6", 400, "rating_min"),
        ("attribute=red", 400, "attribute"),
        ("&".join(f"attribute=a{n}:b" for n in range(11)), 400, "attribute"),
        ("category=nowhere", 404, "category"),
        ("sort=dearest", 400, "sort"),
        ("cursor=AAAA", 400, "cursor"),
    ],
)
async def test_what_cannot_be_searched_by_is_refused_by_its_name(
    stranger: httpx.AsyncClient, query: str, status: int, field: str
) -> None:
    refused = await stranger.get(f"/v1/search?{query}")

    code = {400: "invalid_request", 404: "not_found"}[status]
    assert_problem(refused, status, "invalid_cursor" if field == "cursor" else code, field)


HOSTILE = (
    "'; DROP TABLE orders --",
    '"lantern" | !red & <-> (',
    "\\' \\ ' :* 'x':A",
    "%_%",
    "\u202elantern\u0301\u200d",
    "\U0001f4a1\U0001f3fd",
    "\u5317\u4eac \u0645\u0635\u0628\u0627\u062d",
    "\ufdfa" * 200,
    "a " * 100,
    "aaaaaaab" * 25,
    "=lantern =red",
    "1e5 -7 0x10 NaN",
    "\ud7ff\ue000\uffff",
)


@pytest.mark.usefixtures("stocked")
async def test_nothing_that_is_typed_is_too_much(stranger: httpx.AsyncClient) -> None:
    found = {q: await stranger.get(f"/v1/search?q={quote(q)}") for q in HOSTILE}

    assert {q: answer.status_code for q, answer in found.items()} == dict.fromkeys(HOSTILE, 200)


@pytest.mark.usefixtures("stocked")
async def test_what_changes_during_a_search_does_not_contradict_what_was_asked_for(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    async def is_waiting() -> bool:
        return await waiting_for_locks(database) > 0

    query = "/v1/search?q=red&currency=GBP&price_min_minor=50"
    async with transaction(database) as tx:
        await tx.exec_driver_sql("LOCK TABLE search_words IN ACCESS EXCLUSIVE MODE")
        searching = asyncio.create_task(stranger.get(query))
        await until(is_waiting)
        await put_prices(tx, "sale", {"LAN-0": 1})
    [hit] = (await searching).json()["products"]

    assert hit["price_minor"] == 100
    assert (await stranger.get(query)).json()["products"] == []


async def test_rating_is_the_same_wherever_it_stands(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    async with transaction(database) as tx:
        cup = await put_goods(tx, "halves", Goods(name="Halves"))
        query = "INSERT INTO product_ratings (product_id, reviews, stars) VALUES (:id, 8, 33)"
        await tx.execute(text(query), {"id": cup})

    found = (await stranger.get("/v1/search?q=halves")).json()["products"][0]["rating"]
    read = (await stranger.get("/v1/products/halves/reviews")).json()["rating"]["average"]
    asked = await ask(stranger, '{ product(slug: "halves") { rating { average } } }')

    assert (found, read) == (4.13, 4.13)
    assert asked["data"]["product"]["rating"]["average"] == found
