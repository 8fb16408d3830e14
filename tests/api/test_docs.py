import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import urljoin

import httpx
import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.testing import AsyncTestClient
from msgspec import Meta

from api import codes, docs, openapi, problems
from api.application import routed
from api.edge import Edge
from api.errors import EXCEPTION_HANDLERS


class Address(msgspec.Struct, forbid_unknown_fields=True):
    city: Annotated[str, Meta(max_length=100)]


class Cart(msgspec.Struct, forbid_unknown_fields=True):
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", max_length=3)]
    quantity: Annotated[int, Meta(ge=1, le=10)]
    ship_to: Address
    labels: Annotated[dict[str, int], Meta(max_length=3)] = {}


class View(msgspec.Struct):
    id: int


@post("/v1/carts", tags=["carts"])
async def put_cart(data: JSONBody[Cart]) -> View:
    """Put a cart."""
    return View(data.quantity)


@get("/v1/carts/{cart_id:int}")
async def get_cart(cart_id: FromPath[int], fields: FromQuery[str | None] = None) -> View:
    """Get a cart."""
    return View(cart_id + len(fields or ""))


def an_app() -> Litestar:
    app = Litestar(
        [put_cart, get_cart, *docs.routes],
        openapi_config=docs.openapi_config(title="Carts & more", version="1", description="."),
        exception_handlers=EXCEPTION_HANDLERS,
        logging_config=None,
    )
    app.asgi_handler = Edge(app.asgi_handler)
    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncTestClient(an_app()) as client:
        yield client


async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_the_page_and_all_it_refers_to_comes_from_here(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    referred = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert "<title>Carts &amp; more</title>" in page.text
    assert len(referred) == 5
    for path in referred:
        assert urljoin("http://here/docs", path).startswith("http://here/")
        answer = await client.get(path)
        assert answer.status_code == 200
        assert answer.content


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("start.js", "text/javascript; charset=utf-8"),
        ("favicon-32x32.png", "image/png"),
    ],
)
async def test_assets_may_be_cached_and_say_what_they_are(
    client: httpx.AsyncClient, name: str, media_type: str
) -> None:
    answer = await client.get(f"/docs/assets/{name}")

    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "public, max-age=3600"


async def test_the_policy_lets_the_page_load_from_here_only(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")

    (policy,) = answer.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/docs/nothing",
        "/docs/openapi.json",
        "/docs/assets/nothing",
        "/docs/assets/index.css",
        "/docs/assets/..%2f__init__.py",
        "/docs/assets/%2e%2e/__init__.py",
        "/problems/nothing",
    ],
)
async def test_what_is_not_there_is_a_problem(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_every_error_is_documented_as_a_problem(client: httpx.AsyncClient) -> None:
    told = await document(client)

    assert told["openapi"].startswith("3.1")
    put, got = told["paths"]["/v1/carts"]["post"], told["paths"]["/v1/carts/{cart_id}"]["get"]
    assert set(put["responses"]) == {"201", "400", "413", "415", "default"}
    assert set(got["responses"]) == {"200", "400", "default"}
    assert put["responses"]["201"]["content"].keys() == {"application/json"}
    for operation in (put, got):
        for status, response in operation["responses"].items():
            if status not in {"200", "201"}:
                (content,) = response["content"].items()
                assert content == (
                    "application/problem+json",
                    {"schema": {"$ref": "#/components/schemas/Problem"}},
                )
    assert {"type", "title", "status", "code", "detail"} == set(
        told["components"]["schemas"]["Problem"]["required"]
    )


async def test_request_bodies_are_closed_and_answers_open(client: httpx.AsyncClient) -> None:
    schemas = (await document(client))["components"]["schemas"]

    assert schemas["Cart"]["additionalProperties"] is False
    assert schemas["Address"]["additionalProperties"] is False
    assert schemas["Cart"]["properties"]["labels"]["additionalProperties"] == {"type": "integer"}
    assert "additionalProperties" not in schemas["View"]
    assert schemas["Cart"]["properties"]["quantity"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 10,
    }


async def test_patterns_are_such_that_every_reader_knows_them(client: httpx.AsyncClient) -> None:
    schemas = (await document(client))["components"]["schemas"]

    assert schemas["Cart"]["properties"]["currency"]["pattern"] == "^[A-Z]{3}$"


async def test_every_reference_leads_somewhere_in_the_document(client: httpx.AsyncClient) -> None:
    text = (await client.get("/openapi.json")).text
    schemas = (await document(client))["components"]["schemas"]

    found = set(re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', text))
    assert found == set(schemas)
    assert "FieldError" in found
    assert "://" not in text


async def test_the_document_is_the_same_each_time(client: httpx.AsyncClient) -> None:
    assert await document(client) == await document(client)


async def test_every_problem_has_its_place(client: httpx.AsyncClient) -> None:
    everything = (await client.get("/problems")).text

    for code, kind in codes.KINDS.items():
        answer = await client.get(f"/problems/{code}")
        assert problems.problem(code).type == (kind.type or answer.url.path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert code in answer.text
        assert code in everything


def test_no_example_is_made_up_for_an_answer() -> None:
    document = openapi.completed(routed().openapi_schema.to_schema(), {})

    assert '"examples"' not in json.dumps(document)
