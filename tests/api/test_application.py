"""The application as a whole: the input that no route may take."""

import gzip
import json
from typing import Any

import httpx
import pytest

from api.application import BODY_BYTES_MAX
from db.engine import Database
from tests.api.routes import PARAMETERS, ROUTES, WRITES, send
from tests.web import assert_problem, rows

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_route_is_asked(shop: httpx.AsyncClient) -> None:
    document = (await shop.get("/openapi.json")).json()
    documented = {
        (method.upper(), path.format(**PARAMETERS))
        for path, operations in document["paths"].items()
        for method in operations
        if path.startswith("/v1/")
    }

    assert {(method, path.partition("?")[0]) for method, path in ROUTES} == documented


def spoilt(body: dict[str, Any], text: str, number: str) -> dict[str, bytes]:
    """A body, wrong in every way that Litestar would let pass or fail over."""
    good = json.dumps(body)
    first = good.index(":") + 2
    deep = b"[" * 100_000
    return {
        "empty": b"",
        "truncated": good[:-1].encode(),
        "two documents": (good + good).encode(),
        "an array of it": f"[{good}]".encode(),
        "with a byte order mark": b"\xef\xbb\xbf" + good.encode(),
        "in UTF-16": good.encode("utf-16"),
        "invalid UTF-8": good.encode()[:first] + b'"\xff\xfe"' + good.encode()[first:],
        "invalid UTF-8 in an unknown field": good[:-1].encode() + b', "x": "\xff"}',
        "a lone surrogate": good[:-1].encode() + b', "x": "\\ud800"}',
        "deep": deep,
        "deep in an unknown field": good[:-1].encode() + b', "x": ' + deep,
        "deep in a known field": good.encode()[:first] + deep,
        "closed deep": b"[" * 100_000 + b"]" * 100_000,
        "NUL": good.replace(text, "a\\u0000", 1).encode() if text else b'{"\\u0000": 1}',
        "NUL in a name": good[:-1].encode() + b', "\\u0000": 1}',
        "thirty digits": good.replace(number, "9" * 30, 1).encode(),
        "five thousand digits": good.replace(number, "9" * 5000, 1).encode(),
        "a number as text": good.replace(number, f'"{number}"', 1).encode(),
        "a whole float": good.replace(number, f"{number}.0", 1).encode(),
        "an exponent": good.replace(number, f"{number}e0", 1).encode(),
        "infinite": good.replace(number, "1e400", 1).encode(),
        "NaN": good.replace(number, "NaN", 1).encode(),
        "an unknown field": good[:-1].encode() + b', "x": 1}',
        "a key given twice": good[:-1].encode() + b", " + good[1:].encode(),
    }


@pytest.mark.parametrize("route", WRITES)
@pytest.mark.parametrize("fault", spoilt({"a": "b", "c": 1}, "b", "1"))
async def test_a_body_that_is_not_exactly_right_is_a_400_and_changes_nothing(
    shop: httpx.AsyncClient, shop_database: Database, route: str, fault: str
) -> None:
    write = WRITES[route]
    before = await rows(shop_database)

    content = spoilt(write.body, write.text, write.number)[fault]
    answer = await send(shop, write.method, write.path, content)

    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.text
    assert len(answer.content) < 1500
    assert await rows(shop_database) == before


@pytest.mark.parametrize("route", WRITES)
@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "text/plain; application/json", "multipart/form-data; boundary=x",
     "application/x-www-form-urlencoded", "application/json; charset=utf-16"],
)  # fmt: skip
async def test_what_does_not_say_it_is_json_is_a_415(
    shop: httpx.AsyncClient, shop_database: Database, route: str, media_type: str
) -> None:
    before = await rows(shop_database)

    answer = await send(shop, *WRITES[route][:2], headers={"Content-Type": media_type})

    assert_problem(answer, 415, "unsupported_media_type")
    assert await rows(shop_database) == before


async def test_two_media_types_are_one_too_many(shop: httpx.AsyncClient) -> None:
    types = [("Content-Type", "application/json"), ("Content-Type", "text/plain")]

    answer = await shop.post(
        "/v1/orders", content=b"{}", headers=[*types, ("Idempotency-Key", "k")]
    )

    assert_problem(answer, 415, "unsupported_media_type", "Content-Type")
    assert "accept-encoding" not in answer.headers


@pytest.mark.parametrize("route", WRITES)
async def test_a_compressed_body_is_a_415_and_changes_nothing(
    shop: httpx.AsyncClient, shop_database: Database, route: str
) -> None:
    before = await rows(shop_database)
    write = WRITES[route]
    body = gzip.compress(json.dumps(write.body).encode())

    answer = await send(shop, write.method, write.path, body, headers={"Content-Encoding": "gzip"})

    assert_problem(answer, 415, "unsupported_content_encoding", "Content-Encoding")
    assert answer.headers["accept-encoding"] == "identity"
    assert await rows(shop_database) == before


@pytest.mark.parametrize("route", WRITES)
async def test_too_long_a_body_is_a_413(shop: httpx.AsyncClient, route: str) -> None:
    answer = await send(shop, *WRITES[route][:2], b" " * (BODY_BYTES_MAX + 1))

    assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "query", ["x=1", "%ff=1", "x=%ff", "x=%00", "x=%zz", "=", "x=" + "y" * 5000, "limit=-1"]
)
async def test_a_query_that_was_not_asked_for_is_a_400_on_every_route(
    shop: httpx.AsyncClient, shop_database: Database, method: str, path: str, query: str
) -> None:
    before = await rows(shop_database)

    answer = await send(shop, method, f"{path}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.headers["content-type"] == "application/problem+json"
    assert await rows(shop_database) == before


@pytest.mark.parametrize(
    "path", ["/v1/variants/{}", "/v1/stock/{}", "/v1/orders/{}", "/{}", "/docs/{}"]
)
@pytest.mark.parametrize("bad", ["%ff", "%00", "%", "%zz", "a%0d%0ab", "%c0%ae", "A" * 5000])
async def test_a_path_that_is_no_clean_text_is_a_refusal(
    shop: httpx.AsyncClient, path: str, bad: str
) -> None:
    answer = await send(shop, "GET", path.format(bad))

    assert answer.status_code in {400, 404}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for method in ("DELETE", "PATCH", "PROPFIND", "TRACE", "CONNECT", "X")
        for path in sorted({path for _, path in ROUTES})
        if (method, path) not in ROUTES
    ],
)
async def test_a_method_that_a_path_does_not_know_is_a_405(
    shop: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await send(shop, method, path)

    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("method", "path"), [*ROUTES, ("GET", "/nowhere"), ("GET", "/health/live")]
)
async def test_every_answer_has_an_id_and_is_not_to_be_sniffed_or_kept(
    shop: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await send(shop, method, path, headers={"X-Request-Id": "mine"})

    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] in {"no-store", "private, no-cache"}
    assert answer.status_code < 500
