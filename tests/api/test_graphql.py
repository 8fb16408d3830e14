"""GraphQL: what everybody sees in any shape, in few statements, within limits."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import redis.asyncio
from litestar import Litestar
from sqlalchemy import text

from db.engine import Database, transaction
from db.persisted import Persisted
from ops.bench.graphql import QUERIES, counted, statements
from ops.config import Settings
from tests.api.graph import ask, codes
from tests.catalogue import Goods, put_category, put_goods, put_prices
from tests.waiting import eventually
from tests.web import assert_problem

BROAD = """
    query ($first: Int = 3) {
      products(first: $first) {
        items { slug name inStock rating { average reviews }
          category { slug parent { slug } }
          variants(currency: "GBP") { sku priceMinor product { slug } }
          reviews(first: 2) { stars title } } }
      categories { slug children { slug products(first: 2) { slug } } } }
    """


@pytest.fixture
async def stocked(database: Database) -> None:
    async with transaction(database) as tx:
        await put_category(tx, "home")
        for n in range(8):
            await put_category(tx, f"shelf-{n}", "home")
            goods = Goods(
                name=f"Cup {n}", category=f"shelf-{n}", variants={f"CUP-{n}": (100 + n, n)}
            )
            await put_goods(tx, f"cup-{n}", goods)
        await put_goods(tx, "draft", Goods(name="Draft", status="draft"))


@pytest.mark.usefixtures("stocked")
async def test_one_query_goes_from_one_thing_to_another(stranger: httpx.AsyncClient) -> None:
    answered = await ask(stranger, BROAD)

    data = answered["data"]
    assert "errors" not in answered
    assert data["products"]["items"][0] == {
        "slug": "cup-7",
        "name": "Cup 7",
        "inStock": True,
        "rating": {"average": None, "reviews": 0},
        "category": {"slug": "shelf-7", "parent": {"slug": "home"}},
        "variants": [{"sku": "CUP-7", "priceMinor": 107, "product": {"slug": "cup-7"}}],
        "reviews": [],
    }
    assert [each["slug"] for each in data["categories"]] == ["home"]
    assert {"slug": "shelf-2", "products": [{"slug": "cup-2"}]} in data["categories"][0]["children"]


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_statements_of_a_query_do_not_grow_with_its_breadth(
    stocked: None, settings: Settings, name: str
) -> None:
    del stocked
    async with counted(settings) as database:
        few, many = [
            await statements(database, QUERIES[name].replace("top-1", "home"), n) for n in (1, 100)
        ]

    assert 0 < len(few) == len(many) <= 10


@pytest.mark.usefixtures("stocked")
async def test_staff_sees_what_everybody_does_not(
    stranger: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    cost = '{ variant(sku: "CUP-1") { costMinor } }'
    query = """{ product(slug: "cup-1") { status variants { costMinor } }
                 hidden: product(slug: "draft") { slug } }"""
    schema = "{ __schema { queryType { name } } }"

    public, known = await ask(stranger, query), await ask(stranger, query, staff)

    assert set(codes(public)) == set(codes(await ask(stranger, cost))) == {"forbidden"}
    assert known["data"]["product"] == {"status": "active", "variants": [{"costMinor": None}]}
    assert known["data"]["hidden"] == {"slug": "draft"}
    seen = await ask(stranger, '{ hidden: product(slug: "draft") { slug } }')
    assert seen == {"data": {"hidden": None}}
    assert codes(await ask(stranger, schema)) == ["introspection_refused"]
    assert (await ask(stranger, schema, staff))["data"]["__schema"]["queryType"]["name"] == "Query"
    assert "type Product" in (await stranger.get("/graphql/schema")).text


@pytest.mark.usefixtures("stocked")
async def test_answer_is_cached_until_what_it_shows_changes(
    stranger: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    query = '{ category(slug: "home") { name } }'
    before = await ask(stranger, query)

    renamed = await stranger.put("/v1/categories/home", json={"name": "House"}, headers=staff)

    assert renamed.status_code == 200
    assert before["data"]["category"]["name"] == "Home"
    assert (await ask(stranger, query))["data"]["category"]["name"] == "House"


@pytest.mark.usefixtures("stocked")
async def test_part_that_fails_takes_nothing_away_from_those_beside_it(
    stranger: httpx.AsyncClient,
) -> None:
    query = """{ failing: product(slug: "cup-0") { rating { reviews } reviews(first: 1000) { id } }
                 product(slug: "cup-0") { slug rating { reviews } } }"""

    answered = await ask(stranger, query)

    assert codes(answered) == ["invalid_request"]
    assert answered["data"] == {
        "failing": None,
        "product": {"slug": "cup-0", "rating": {"reviews": 0}},
    }


@pytest.mark.usefixtures("stocked")
async def test_price_of_a_variant_begins_with_its_list(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    query = '{ variant(sku: "CUP-1") { priceMinor } }'
    begins = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    async with transaction(database) as tx:
        await put_prices(tx, "sale", {"CUP-1": 1}, window=(begins, None))
    await ask(stranger, query)

    async def has_begun() -> bool:
        async with transaction(database) as tx:
            return bool(await tx.scalar(text(f"SELECT now() >= timestamptz '{begins}'")))

    await eventually(has_begun)
    assert (await ask(stranger, query))["data"]["variant"] == {"priceMinor": 1}


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize("currency", ["XXX", "gbp", ""])
async def test_currency_is_one_that_is_paid_with(
    stranger: httpx.AsyncClient, currency: str
) -> None:
    answered = await ask(stranger, f'{{ variant(sku: "CUP-1", currency: "{currency}") {{ sku }} }}')

    assert codes(answered) == ["invalid_request"]


@pytest.mark.parametrize("name", ['product(slug: "\\u0000")', 'variant(sku: "A\\u0000")'])
async def test_character_that_no_text_has_is_refused(
    stranger: httpx.AsyncClient, name: str
) -> None:
    answered = await ask(stranger, "{ %s { slug: name } }" % name)  # noqa: UP031 - braces

    assert codes(answered) == ["invalid_request"]


async def test_categories_are_in_their_order(
    stranger: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    for slug, rank in (("a", 2), ("c", 1), ("b", 1)):
        body = {"name": slug, "rank": rank}
        await stranger.put(f"/v1/categories/{slug}", json=body, headers=staff)
        await stranger.put(f"/v1/categories/{slug * 2}", json=body | {"parent": "a"}, headers=staff)

    answered = await ask(stranger, "{ categories { slug children { slug } } }")

    shown = answered["data"]["categories"]
    assert [each["slug"] for each in shown] == ["b", "c", "a"]
    assert [each["slug"] for each in shown[2]["children"]] == ["bb", "cc", "aa"]


NAMED = "extensions.persistedQuery"
ZEROS = {"version": 1, "sha256Hash": "0" * 64}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([{"query": "{ categories { slug } }"}], None),
        ({"query": 5}, "query"),
        ({}, "query"),
        ({"query": "{ a }", "more": 1}, None),
        ({"extensions": {"persistedQuery": ZEROS | {"version": 2}}}, f"{NAMED}.version"),
        ({"query": "{ a }", "extensions": {"persistedQuery": ZEROS}}, "extensions"),
        ({"query": "{ a }", "variables": []}, "variables"),
        ("{ a }", None),
    ],
)  # fmt: skip
async def test_what_is_no_request_of_graphql_is_a_problem(
    stranger: httpx.AsyncClient, body: object, field: str | None
) -> None:
    answer = await stranger.post("/graphql", json=body)

    assert_problem(answer, 400, "invalid_request", field)


def persisted(query: str) -> dict[str, Any]:
    return {
        "persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(query.encode()).hexdigest()}
    }


async def test_query_is_registered_once_found_by_its_hash_and_sent_again_after_a_loss(
    stranger: httpx.AsyncClient,
    app: Litestar,
    settings: Settings,
    valkey: "redis.asyncio.Redis",
) -> None:
    async def start_again() -> None:
        await app.state.persisted.close()
        app.state.persisted = Persisted(settings.redis_url, within_s=settings.redis_timeout_s)

    query = "{ categories { slug } }"
    by_hash = {"extensions": persisted(query)}

    unknown = (await stranger.post("/graphql", json=by_hash)).json()
    given = (await stranger.post("/graphql", json={"query": query, **by_hash})).json()
    known = (await stranger.post("/graphql", json=by_hash)).json()
    got = await stranger.get("/graphql", params={"extensions": json.dumps(by_hash["extensions"])})
    await start_again()
    elsewhere = (await stranger.post("/graphql", json=by_hash)).json()
    await start_again()
    await valkey.flushdb()
    lost = (await stranger.post("/graphql", json=by_hash)).json()

    assert codes(unknown) == codes(lost) == ["PERSISTED_QUERY_NOT_FOUND"]
    assert given == known == got.json() == elsewhere == {"data": {"categories": []}}


async def test_media_type_of_graphql_has_a_status(stranger: httpx.AsyncClient) -> None:
    accept = {"Accept": "application/graphql-response+json"}

    wrong = await stranger.post("/graphql", json={"query": "{ nothing }"}, headers=accept)
    right = await stranger.post("/graphql", json={"query": "{ __typename }"}, headers=accept)

    assert (wrong.status_code, right.status_code) == (400, 200)
    assert right.headers["content-type"] == accept["Accept"]
    assert right.json() == {"data": {"__typename": "Query"}}


async def test_an_outage_is_a_problem_and_names_nothing_of_ours(
    stranger: httpx.AsyncClient, app: Litestar
) -> None:
    await ask(stranger, "{ __typename }")
    async with transaction(app.state.database) as tx:
        await tx.exec_driver_sql("ALTER TABLE categories RENAME TO gone")
    try:
        broken = await stranger.post("/graphql", json={"query": "{ categories { name } }"})
    finally:
        async with transaction(app.state.database) as tx:
            await tx.exec_driver_sql("ALTER TABLE gone RENAME TO categories")

    assert_problem(broken, 500, "internal_error")
    assert "gone" not in broken.text
    assert "categories" not in broken.text
