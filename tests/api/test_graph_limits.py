"""GraphQL: what asks for too much is refused, before or while it is carried out."""

import httpx
import pytest

from db.engine import Database, transaction
from domain.product import VARIANTS_MAX
from tests.api.graph import ask, codes
from tests.catalogue import Goods, put_goods

LOOP = '{ category(slug: "a") { ...F } } fragment F on Category { parent { ...F } }'
BOMB = (
    "query { "
    + " ".join(f"...F{n}" for n in range(9))
    + " } "
    + " ".join(f"fragment F{n} on Query {{ " + f"...F{n + 1} ...F{n + 1} }}" for n in range(9))
    + " fragment F9 on Query { categories { slug } }"
)
LARGE = "fragment F on Product { " + "slug " * 900 + "}"
REFUSED = {
    "{ " + " ".join(f"a{n}: __typename" for n in range(201)) + " }": "query_too_large",
    BOMB: "query_too_large",
    LOOP: "query_too_deep",
    "{ categories { " + "parent { " * 9 + "slug" + " }" * 11: "query_too_deep",
    "{ products(first: 100) { items { reviews(first: 100) { title } } } }": "query_too_costly",
    "{ " + "a " * 1001 + "}": "invalid_query",
    "{" * 5000: "query_too_deep",
    "{ products(after: " + "[" * 300 + "]" * 300 + ") { next } }": "query_too_deep",
    "mutation { pay }": "invalid_query",
    "subscription { orders }": "invalid_query",
    "fragment F on Query { __typename }": "invalid_query",
    "{ nothing }": "invalid_query",
    "": "invalid_query",
    "{ products(first: 0) { next } }": "invalid_request",
    "{ products(first: 99999999999) { next } }": "invalid_query",
    '{ products(after: "?") { next } }': "invalid_cursor",
    '{ products(category: "nowhere") { next } }': "not_found",
}


@pytest.mark.parametrize(
    "query",
    [
        "{ __typename } " + LARGE,
        "{ products { items { ...F } } } " + LARGE + " fragment F on Product { slug }",
    ],
)
async def test_fragment_that_nothing_measures_is_refused_before_it_is_validated(
    stranger: httpx.AsyncClient, query: str
) -> None:
    answered = await ask(stranger, query)

    assert codes(answered) == ["invalid_query"]
    assert "spread nowhere, or is there twice" in answered["errors"][0]["message"]


async def test_what_is_too_much_or_no_query_is_refused_with_the_limit(
    stranger: httpx.AsyncClient,
) -> None:
    found = {query: next(iter(codes(await ask(stranger, query))), None) for query in REFUSED}

    assert found == REFUSED
    for query in ("query A { __typename }", "query A { __typename } query C { __typename }"):
        assert codes(await ask(stranger, query, operationName="B")) == ["invalid_query"]
        assert (await ask(stranger, query, operationName="A"))["data"] == {"__typename": "Query"}


async def test_number_that_no_machine_reads_is_refused(stranger: httpx.AsyncClient) -> None:
    answered = await ask(stranger, "{ products(first: %s) { next } }" % ("9" * 5000))

    assert codes(answered) == ["invalid_query"]


async def test_lists_that_are_longer_than_anybody_could_tell_end_the_answer(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    prices = {f"BIG-{n}": (100, 1) for n in range(VARIANTS_MAX)}
    async with transaction(database) as tx:
        await put_goods(tx, "big", Goods(name="Big", variants=prices))

    whole = await ask(
        stranger, '{ product(slug: "big") { variants { sku name options inStock } } }'
    )
    around = await ask(
        stranger,
        """{ product(slug: "big") { again: variants { ...F } } }
           fragment F on Variant { product { variants { sku } } }""",
    )

    assert len(whole["data"]["product"]["variants"]) == VARIANTS_MAX
    assert set(codes(around)) == {"query_too_costly"}


async def test_variables_count_as_what_they_are(stranger: httpx.AsyncClient) -> None:
    query = (
        "query ($n: Int!) { products(first: $n) { items { variants { sku product { slug } } } } }"
    )

    small = await ask(stranger, query, variables={"n": 1})
    large = await ask(
        stranger, query.replace("variants", "v: variants { sku } variants"), variables={"n": 10**9}
    )

    assert small == {"data": {"products": {"items": []}}}
    assert codes(large) == ["invalid_request"]
