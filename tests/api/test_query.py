from collections.abc import AsyncIterator
from enum import Enum
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.testing import AsyncTestClient

from api.errors import EXCEPTION_HANDLERS
from api.query import refuse_stray_parameters
from tests.web import assert_problem


class Colour(Enum):
    RED = "red"
    DARK_RED = "dark.red"


async def provide_page(limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50) -> int:
    return limit


@get("/carts", dependencies={"page": Provide(provide_page)})
async def list_carts(
    page: NamedDependency[int],
    status: FromQuery[str | None] = None,
    tag: FromQuery[list[str] | None] = None,
    colour: FromQuery[Colour | None] = None,
    paid: FromQuery[bool | None] = None,
) -> dict[str, Any]:
    return {"page": page, "status": status, "tag": tag, "colour": colour, "paid": paid}


@get("/carts/{sku:str}")
async def get_cart(sku: FromPath[str]) -> str:
    return sku


@get("/by-number/{number:int}")
async def get_by_number(number: FromPath[int]) -> int:
    return number


@get("/by-id/{cart_id:uuid}")
async def get_by_id(cart_id: FromPath[UUID]) -> str:
    return str(cart_id)


app = Litestar(
    [list_carts, get_cart, get_by_number, get_by_id],
    before_request=refuse_stray_parameters,
    exception_handlers=EXCEPTION_HANDLERS,
    logging_config=None,
    openapi_config=None,
)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncTestClient(app) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=-1", "limit"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=" + "9" * 22, "limit"),
        ("limit=1.5", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("limit=1.0", "limit"),
        ("limit=1e1", "limit"),
        ("limit=%2B1", "limit"),
        ("limit=%201", "limit"),
        ("limit=1%0a", "limit"),
        ("limit=01", "limit"),
        ("limit=-0", "limit"),
        ("limit=1_0", "limit"),
        ("limit=0x1", "limit"),
        ("limit=%EF%BC%91", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=null", "limit"),
        ("limit=true", "limit"),
        ("colour=null", "colour"),
        ("colour=NULL", "colour"),
        ("colour=RED", "colour"),
        ("colour=darkXred", "colour"),
        ("colour=", "colour"),
        ("paid=1", "paid"),
        ("paid=True", "paid"),
        ("paid=yes", "paid"),
        ("paid=null", "paid"),
        ("paid=", "paid"),
        ("limit=1&limit=2", "limit"),
        ("stauts=paid", "stauts"),
        ("page=2", "page"),
    ],
)
async def test_a_query_parameter_out_of_bounds_or_unknown_is_named(
    client: httpx.AsyncClient, query: str, field: str
) -> None:
    answer = await client.get(f"/carts?{query}")

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_request"
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "path",
    ["/carts?status=%ff", "/carts?status=%00", "/carts?status=%zz", "/carts/%ff", "/carts/a%00"],
)
async def test_a_path_or_query_that_is_not_clean_text_is_a_400(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_a_long_query_is_refused_before_it_is_parsed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/carts?" + "a&" * 2049)

    assert answer.status_code == 400
    assert "too long" in answer.json()["detail"]


async def test_parameters_of_handler_and_dependencies_are_known(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/carts?limit=200&status=%C3%A9&tag=a&tag=b&colour=dark.red&paid=true"
    )

    assert answer.json() == {
        "page": 200,
        "status": "é",
        "tag": ["a", "b"],
        "colour": "dark.red",
        "paid": True,
    }
    assert (await client.get("/carts/a%20b")).text == "a b"


async def test_an_id_that_cannot_exist_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/by-id/1")).json()["code"] == "not_found"
    assert (await client.get(f"/by-id/{uuid4()}")).status_code == 200


async def test_what_a_parameter_must_look_like_is_said(client: httpx.AsyncClient) -> None:
    number = await client.get("/carts?limit=1.0")
    word = await client.get("/carts?colour=blue")
    yes = await client.get("/carts?paid=1")

    assert number.json()["detail"] == "limit: Send a whole number in digits, e.g. 50."
    assert word.json()["detail"] == "colour: Send one of red, dark.red."
    assert yes.json()["detail"] == "paid: Send true or false."


async def test_text_that_looks_like_something_else_stays_text(client: httpx.AsyncClient) -> None:
    assert (await client.get("/carts?status=null")).json()["status"] == "null"
    assert (await client.get("/carts?status=1.0")).json()["status"] == "1.0"


@pytest.mark.parametrize("write", ["{{{}}}", "urn:uuid:{}", "{}}}"])
async def test_an_id_has_one_spelling(client: httpx.AsyncClient, write: str) -> None:
    cart = uuid4()

    answer = await client.get(f"/by-id/{write.format(cart)}")

    assert_problem(answer, 404, "not_found")
    assert (await client.get(f"/by-id/{cart.hex}")).status_code == 404
    assert (await client.get(f"/by-id/{str(cart).upper()}")).text == str(cart)


@pytest.mark.parametrize("write", ["1_2", "+12", "012", "%2012", "%D9%A12"])
async def test_a_number_in_a_path_has_one_spelling(client: httpx.AsyncClient, write: str) -> None:
    assert_problem(await client.get(f"/by-number/{write}"), 404, "not_found")
    assert (await client.get("/by-number/12")).text == "12"
