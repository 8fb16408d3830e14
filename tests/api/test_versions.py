from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar, Response, get, post

from api.edge import Edge
from api.errors import EXCEPTION_HANDLERS
from api.policy import operations
from api.problems import Forbidden
from api.versions import ENDINGS, NOTICE_MIN, Ending, announcing, mark
from tests.web import asking

DEPRECATED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SUNSET = datetime(2028, 1, 1, tzinfo=UTC)
ENDING = Ending(DEPRECATED, SUNSET, successor="/v2/new", explained_at="/docs/v2")
LINKS = '</docs/v2>; rel="deprecation"; type="text/html", </v2/new>; rel="successor-version"'


@get("/v1/old")
async def get_old() -> None: ...


@get("/v1/old/refused")
async def get_refused() -> None:
    raise Forbidden("Not you.")


@get("/v1/old/linked")
async def get_linked() -> Response[None]:
    return Response(None, headers={"Link": '</next>; rel="next"'})


@post("/v1/old")
async def post_old() -> None: ...


def guard(*_: Any) -> None:
    raise Forbidden("Nobody.")


@get("/v1/old/guarded", guards=[guard])
async def get_guarded() -> None: ...


OLD = ("/v1/old", "/v1/old/refused", "/v1/old/linked", "/v1/old/guarded")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [get_old, get_refused, get_linked, post_old, get_guarded],
        guards=[announcing({f"GET {path}": ENDING for path in OLD})],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
    )
    app.asgi_handler = Edge(app.asgi_handler)
    async with asking(app) as client:
        yield client


@pytest.mark.parametrize("path", OLD)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_every_answer_of_an_operation_that_ends_says_so(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path)

    assert answer.headers.get("deprecation") == "@1795262400"
    assert answer.headers.get("sunset") == "Sat, 01 Jan 2028 00:00:00 GMT"
    assert answer.headers["link"].endswith(LINKS)


async def test_its_links_stand_beside_those_of_the_answer(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/old/linked")

    assert answer.headers["link"] == f'</next>; rel="next", {LINKS}'


async def test_other_operations_say_nothing(client: httpx.AsyncClient) -> None:
    other = await client.post("/v1/old")
    lost = await client.get("/v1/older")

    for answer in (other, lost):
        assert "deprecation" not in answer.headers
        assert "sunset" not in answer.headers


def test_less_notice_than_promised_is_refused() -> None:
    with pytest.raises(ValueError, match="365 days after notice"):
        Ending(DEPRECATED, DEPRECATED + NOTICE_MIN - timedelta(seconds=1), "/v2", "/docs")


def test_the_document_marks_what_ends() -> None:
    document = {"paths": {"/v1/old": {"get": {}, "post": {}}}}

    mark(document, {"GET /v1/old": ENDING})

    assert document == {"paths": {"/v1/old": {"get": {"deprecated": True}, "post": {}}}}


def test_only_what_there_is_can_end(app: Litestar) -> None:
    assert set(ENDINGS) <= set(operations(app))
