import re
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, Response, get
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.testing import AsyncTestClient

from api import pages
from api.errors import EXCEPTION_HANDLERS
from api.problems import InvalidCursor

IDS = sorted((uuid4() for _ in range(7)), reverse=True)


@get("/lists/{name:str}")
async def list_ids(
    request: Request[Any, Any, Any],
    name: FromPath[str],
    tag: FromQuery[list[str] | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
    cursor: FromQuery[str | None] = None,
) -> Response[list[UUID]]:
    before = pages.decode(cursor) if cursor is not None else None
    rest = [i for i in IDS if before is None or i < before]
    headers = pages.link(request, rest[limit - 1]) if len(rest) > limit else {}
    return Response(rest[:limit], headers=headers | {"X-Seen": ascii((name, tag))})


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar([list_ids], exception_handlers=EXCEPTION_HANDLERS, openapi_config=None)
    async with AsyncTestClient(app) as client:
        yield client


async def test_links_lead_through_the_whole_list_once(client: httpx.AsyncClient) -> None:
    found: list[UUID] = []
    url: str | None = "/lists/all?limit=3"

    while url:
        answer = await client.get(url)
        found += map(UUID, answer.json())
        url = answer.links.get("next", {}).get("url")

    assert found == IDS


async def test_a_link_keeps_path_and_parameters_and_replaces_the_cursor(
    client: httpx.AsyncClient,
) -> None:
    query = {"tag": ["a&b", "é"], "limit": "1", "cursor": pages.encode(IDS[0])}

    answer = await client.get("/lists/a%20b", params=query)
    following = await client.get(answer.links["next"]["url"])

    assert answer.headers["link"].startswith("</lists/a%20b?")
    assert {"tag=a%26b", "tag=%C3%A9", "limit=1"} < set(re.split("[?&]", answer.headers["link"]))
    assert following.headers["x-seen"] == answer.headers["x-seen"]
    assert following.json() == [str(IDS[2])]


async def test_a_cursor_of_somebody_elses_making_is_a_400(client: httpx.AsyncClient) -> None:
    answer = await client.get("/lists/all?cursor=abc")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
    assert answer.json()["errors"][0]["field"] == "cursor"


@given(st.uuids())
def test_a_cursor_comes_back_as_the_id_it_was_made_of(last: UUID) -> None:
    assert pages.decode(pages.encode(last)) == last


@given(st.text(max_size=60))
def test_garbage_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        _ = pages.decode(cursor)


@given(st.uuids(), st.data())
def test_a_cursor_with_one_character_changed_is_refused(last: UUID, data: st.DataObject) -> None:
    cursor = pages.encode(last)
    at = data.draw(st.integers(0, len(cursor) - 1))
    char = data.draw(st.sampled_from("AZaz09-_=+/ \n").filter(lambda c: c != cursor[at]))

    with pytest.raises(InvalidCursor):
        _ = pages.decode(cursor[:at] + char + cursor[at + 1 :])


@pytest.mark.parametrize("change", ["{}=", "{}==", " {}", "{}\n", "{}A", "{0}{0}", ""])
def test_there_is_one_way_to_write_a_cursor(change: str) -> None:
    with pytest.raises(InvalidCursor):
        _ = pages.decode(change.format(pages.encode(IDS[0])))
