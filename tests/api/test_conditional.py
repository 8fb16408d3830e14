from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, Response, get, put
from litestar.testing import AsyncTestClient

from api import conditional
from api.errors import EXCEPTION_HANDLERS

VERSION = 3


@get("/thing")
async def get_thing(request: Request[Any, Any, Any]) -> Response[dict[str, int]]:
    return conditional.show(request, {"version": VERSION}, version=VERSION)


@put("/thing")
async def put_thing(request: Request[Any, Any, Any]) -> Response[dict[str, int]]:
    conditional.check(request, version=VERSION)
    return conditional.show(request, {"version": VERSION + 1}, version=VERSION + 1)


@put("/nothing")
async def put_nothing(request: Request[Any, Any, Any]) -> Response[dict[str, int]]:
    conditional.check(request, version=None)
    return conditional.show(request, {"version": 1}, version=1)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [get_thing, put_thing, put_nothing],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
    )
    async with AsyncTestClient(app) as client:
        yield client


async def test_an_answer_carries_the_version_as_its_etag(client: httpx.AsyncClient) -> None:
    answer = await client.get("/thing")

    assert answer.json() == {"version": 3}
    assert answer.headers["etag"] == '"3"'
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers.get("vary") == "Authorization, Cookie"


@pytest.mark.parametrize(
    "known", ['"3"', 'W/"3"', "*", '"1", "3"', '"1",W/"3" ,"5"', ', "3",', '"a,b", "3"']
)
async def test_who_knows_the_version_gets_a_304_without_a_body(
    client: httpx.AsyncClient, known: str
) -> None:
    answer = await client.get("/thing", headers={"If-None-Match": known})

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"3"'
    assert answer.headers.get("vary") == "Authorization, Cookie"


@pytest.mark.parametrize("known", ["", '"2"', 'W/"2", "33"', '""', '"3,"', '"*"'])
async def test_who_knows_another_version_gets_this_one(
    client: httpx.AsyncClient, known: str
) -> None:
    answer = await client.get("/thing", headers={"If-None-Match": known})

    assert answer.json() == {"version": 3}


@pytest.mark.parametrize("known", ["3", '"3', "W/3", '"3" "4"', "*, *", 'w/"3"', '"a b"'])
async def test_what_is_no_list_of_tags_is_a_400(client: httpx.AsyncClient, known: str) -> None:
    reading = await client.get("/thing", headers={"If-None-Match": known})
    writing = await client.put("/thing", headers={"If-Match": known})

    for answer, header in ((reading, "If-None-Match"), (writing, "If-Match")):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert answer.json()["errors"][0]["field"] == header


async def test_tags_may_come_in_several_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/thing", headers=[("If-None-Match", '"1"'), ("If-None-Match", '"3"')]
    )

    assert answer.status_code == 304


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/thing", {}, 200),
        ("/thing", {"If-Match": '"3"'}, 200),
        ("/thing", {"If-Match": '"1", "3"'}, 200),
        ("/thing", {"If-Match": "*"}, 200),
        ("/thing", {"If-Match": '"2"'}, 412),
        ("/thing", {"If-Match": 'W/"3"'}, 412),
        ("/thing", {"If-None-Match": "*"}, 412),
        ("/thing", {"If-None-Match": 'W/"3"'}, 412),
        ("/thing", {"If-None-Match": '"2"'}, 200),
        ("/nothing", {}, 200),
        ("/nothing", {"If-None-Match": "*"}, 200),
        ("/nothing", {"If-None-Match": '"3"'}, 200),
        ("/nothing", {"If-Match": "*"}, 412),
        ("/nothing", {"If-Match": '"3"'}, 412),
    ],
)
async def test_a_change_goes_through_only_if_its_condition_holds(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await client.put(path, headers=headers)

    assert answer.status_code == status
    if status == 412:
        assert answer.json()["code"] == "precondition_failed"


async def test_a_change_answers_with_the_new_tag(client: httpx.AsyncClient) -> None:
    answer = await client.put("/thing", headers={"If-Match": '"3"'})

    assert answer.headers["etag"] == '"4"'
