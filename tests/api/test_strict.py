import gzip
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, post
from litestar.params import JSONBody
from litestar.testing import AsyncTestClient
from msgspec import Meta

from api import strict
from api.errors import EXCEPTION_HANDLERS
from api.problems import InvalidRequest
from tests.web import assert_problem


class Line(msgspec.Struct, forbid_unknown_fields=True):
    sku: Annotated[str, Meta(max_length=64, pattern=r"^[^ ]*\Z", description="a SKU, e.g. APPLE")]
    quantity: Annotated[int, Meta(ge=1, le=10_000)]
    kind: Annotated[Literal["a", "b"], Meta(description="a or b")] = "a"
    code: Annotated[str, Meta(max_length=3, pattern="^[A-Z]*$")] = ""


class Cart(msgspec.Struct, forbid_unknown_fields=True):
    email: Annotated[str, Meta(max_length=254)]
    lines: Annotated[list[Line], Meta(min_length=1, max_length=1000)]
    price: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    labels: dict[str, Any] = {}


VALID: dict[str, Any] = {"email": "a@example.com", "lines": [{"sku": "A", "quantity": 2}]}
JSON = {"Content-Type": "application/json"}


@post("/carts")
async def put_cart(data: JSONBody[Cart]) -> Cart:
    return data


@post("/maybe")
async def maybe_cart(data: JSONBody[Cart | None] = None) -> bool:
    return data is not None


@post("/raw")
async def read_raw(request: Request[Any, Any, Any]) -> Any:
    return (
        await request.json() if request.headers.get("content-type") else len(await request.body())
    )


app = Litestar(
    [put_cart, maybe_cart, read_raw],
    request_class=strict.StrictRequest,
    exception_handlers=EXCEPTION_HANDLERS,
    request_max_body_size=1_000_000,
    logging_config=None,
    openapi_config=None,
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncTestClient(app) as client:
        yield client


async def refusal(client: httpx.AsyncClient, body: bytes, **headers: str) -> dict[str, Any]:
    answer = await client.post("/carts", content=body, headers=JSON | headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == answer.json()["status"]
    return answer.json()


def with_line(text: str) -> bytes:
    return b'{"email":"a","lines":[{"sku":"A","quantity":1},' + text.encode() + b"]}"


async def test_a_valid_body_reaches_the_handler_as_its_type(client: httpx.AsyncClient) -> None:
    answer = await client.post("/carts", json=VALID)

    assert answer.status_code == 201
    line = VALID["lines"][0] | {"kind": "a", "code": ""}
    assert answer.json() == VALID | {"lines": [line], "price": 0.0, "labels": {}}


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "APPLICATION/JSON; charset=UTF-8", "application/vnd.order+json"],
)
async def test_any_json_in_utf_8_is_taken(client: httpx.AsyncClient, media_type: str) -> None:
    answer = await client.post(
        "/carts", content=json.dumps(VALID), headers={"Content-Type": media_type}
    )

    assert answer.status_code == 201


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "text/json",
        "garbage",
    ],
)
async def test_anything_else_is_an_unsupported_media_type(
    client: httpx.AsyncClient, media_type: str
) -> None:
    problem = await refusal(client, json.dumps(VALID).encode(), **{"Content-Type": media_type})

    assert (problem["status"], problem["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "GZIP", "identity, gzip", "x"])
async def test_a_coded_body_is_a_415_that_says_what_is_taken(
    client: httpx.AsyncClient, coding: str
) -> None:
    body = gzip.compress(json.dumps(VALID).encode())

    answer = await client.post("/carts", content=body, headers=JSON | {"Content-Encoding": coding})

    assert_problem(answer, 415, "unsupported_content_encoding", "Content-Encoding")
    assert answer.headers["accept-encoding"] == "identity"


async def test_a_body_that_is_not_coded_may_say_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/carts", json=VALID, headers={"Content-Encoding": "identity"})

    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"{", "truncated"),
        (json.dumps(VALID).encode() + b" x", "trailing"),
        (b"\xef\xbb\xbf{}", "invalid character"),
        (b'{"email":"\xff"}', "invalid start byte"),
        (b'{"email":"\xed\xa0\x80"}', "can't decode"),
        (b'{"email":"\\ud800 more"}', "surrogate"),
        (b'{"email":"a\\udc00"}', "surrogate"),
        (b'{"price":NaN}', "invalid character"),
        (b'{"price":-Infinity}', "invalid"),
        (b"[" * 100_000, "Expected `object`"),
        (b'{"labels":{"a":' + b"[" * 100_000, "too deep"),
        (b'{"labels":' + b'{"a":' * 100_000, "too deep"),
        (b"null", "Expected `object`, got `null`"),
    ],
)
async def test_what_is_not_json_is_a_400(client: httpx.AsyncClient, body: bytes, says: str) -> None:
    problem = await refusal(client, body)

    assert (problem["status"], problem["code"]) == (400, "invalid_request")
    assert says in problem["detail"]


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b'{"lines":[]}', "lines", "length >= 1"),
        (b'{"email":"a"}', "lines", "Missing: add it"),
        (with_line('{"sku":"B","quantity":"5"}'), "lines[1].quantity", "`int`, got `str`"),
        (with_line('{"sku":"B","quantity":1.0}'), "lines[1].quantity", "`int`, got `float`"),
        (with_line('{"sku":"B","quantity":true}'), "lines[1].quantity", "`int`, got `bool`"),
        (with_line('{"sku":"B","quantity":0}'), "lines[1].quantity", ">= 1"),
        (with_line('{"sku":"B","quantity":-1}'), "lines[1].quantity", ">= 1"),
        (with_line('{"sku":"B","quantity":2147483648}'), "lines[1].quantity", "<= 10000"),
        (with_line(f'{{"sku":"B","quantity":{2**63}}}'), "lines[1].quantity", "<= 10000"),
        (with_line(f'{{"sku":"B","quantity":{"9" * 30}}}'), "lines[1].quantity", "<= 10000"),
        (with_line(f'{{"sku":"B","quantity":{"9" * 5000}}}'), "lines[1].quantity", "out of range"),
        (with_line('{"sku":"B","quantity":1e400}'), "lines[1].quantity", "out of range"),
        (b'{"price":1e400}', "price", "out of range"),
        (b'{"price":"NaN"}', "price", "`float`, got `str`"),
        (with_line('{"sku":"B","quantity":1,"kind":"c"}'), "lines[1].kind", "Expected a or b."),
        (with_line('{"sku":"B C","quantity":1}'), "lines[1].sku", "Expected a SKU, e.g. APPLE."),
        (with_line('{"sku":"B","quantity":1,"code":"c"}'), "lines[1].code", "another form."),
        (with_line('{"sku":"B"}'), "lines[1].quantity", "Missing: add it"),
        (with_line('{"sku":"B","price":1}'), "lines[1].price", "Unknown: remove it"),
        (b'{"total":1}', "total", "Unknown: remove it"),
        (b'{"email":"a","email":"b","lines":[]}', "lines", "length"),
        (with_line('{"sku":"B","quantity":1,"quantity":2}'), "quantity", "Given twice"),
        (
            b'{"email":"a","email":"b"' + with_line('{"sku":"B","quantity":1}')[12:],
            "email",
            "twice",
        ),
        (with_line('{"sku":"\\u0000","quantity":1}'), "lines[1].sku", "U+0000"),
        (
            with_line('{"sku":"B","quantity":1}')[:-1] + b',"labels":{"a\\u0000":1}}',
            "labels.a\\u0000",
            "U+0000",
        ),
        (
            with_line('{"sku":"B","quantity":1}')[:-1] + b',"labels":{"a":{"b":1,"b":2}}}',
            "b",
            "twice",
        ),
    ],
)
async def test_a_misfit_is_a_400_that_names_the_field_and_what_to_do(
    client: httpx.AsyncClient, body: bytes, field: str, says: str
) -> None:
    problem = await refusal(client, body)

    assert (problem["status"], problem["code"]) == (400, "invalid_request")
    assert problem["errors"][0]["field"] == field
    assert says in problem["errors"][0]["detail"]
    assert "regex" not in problem["detail"]


async def test_a_backslash_before_u0000_is_text(client: httpx.AsyncClient) -> None:
    answer = await client.post("/carts", json=VALID | {"email": r"C:\u0000"})

    assert answer.status_code == 201
    assert answer.json()["email"] == r"C:\u0000"


async def test_a_refusal_does_not_send_a_large_body_back(client: httpx.AsyncClient) -> None:
    hostile = b'{"' + b" - at `" + b"$" * 500_000 + b'":1}'

    problem = await refusal(client, hostile)

    assert len(json.dumps(problem)) < 2000


async def test_a_body_over_the_limit_is_a_413(client: httpx.AsyncClient) -> None:
    problem = await refusal(client, b" " * 1_100_000)

    assert (problem["status"], problem["code"]) == (413, "body_too_large")


async def test_a_body_that_may_be_absent_may_be_empty(client: httpx.AsyncClient) -> None:
    absent = await client.post("/maybe", headers=JSON)
    present = await client.post("/maybe", json=VALID)

    assert (absent.json(), present.json()) == (False, True)


async def test_a_handler_without_data_reads_what_it_likes(client: httpx.AsyncClient) -> None:
    empty = await client.post("/raw")
    anything = await client.post("/raw", json=[1, {"a": None}])
    nan = await client.post("/raw", content=b"NaN", headers=JSON)

    assert empty.json() == 0
    assert anything.json() == [1, {"a": None}]
    assert nan.status_code == 400


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_no_bytes_are_worse_than_an_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        strict.decode(body, Cart)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_a_document_is_read_as_it_is_or_refused(document: object) -> None:
    text = json.dumps(document)

    try:
        read = strict.decode(text.encode(), Any)
    except InvalidRequest:
        assert "NaN" in text or "Infinity" in text or r"\u0000" in text or r"\ud" in text
    else:
        assert read == document
