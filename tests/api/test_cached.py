"""Pages from the cache, over HTTP: what caches may do with them, who sees which, what is asked."""

import re

import httpx
import pytest
from litestar import Litestar

from api.cached import MAY_LAG
from tests.api.people import a_person
from tests.web import assert_problem

PATH = "/v1/variants/CUP"
CUP = {"name": "Cup", "price_minor": 250, "currency": "GBP"}
# Neither depends on what is asked for.
OF_ONE_ANSWER = {"x-request-id", "date"}


async def put_cup(client: httpx.AsyncClient, **changes: object) -> None:
    answer = await client.put(PATH, json=CUP | changes)
    assert answer.is_success


def told(answer: httpx.Response) -> dict[str, str]:
    return {name: answer.headers[name] for name in answer.headers if name not in OF_ONE_ANSWER}


@pytest.mark.parametrize("path", [PATH, "/v1/categories/cups", "/v1/categories"])
async def test_page_of_the_public_may_be_kept_and_is_asked_about_by_its_tag(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, path: str
) -> None:
    await put_cup(client)
    await client.put("/v1/categories/cups", json={"name": "Cups"})

    first, again = await stranger.get(path), await stranger.get(path)

    assert first.headers["content-type"] == "application/json"
    control = MAY_LAG if path.endswith("s") and "cup" not in path else "public, no-cache"
    assert first.headers["cache-control"] == control
    assert first.headers["vary"] == "Authorization, X-CSRF-Token"
    assert re.fullmatch('"[0-9a-f]{32}"', first.headers["etag"])
    # The second one asked no route.
    assert (again.status_code, again.content, told(again)) == (200, first.content, told(first))


@pytest.mark.parametrize("known", ["{}", "W/{}", "*", '"other", {}', ', {},"a,b"'])
@pytest.mark.parametrize("times_before", [0, 1])
async def test_who_has_the_page_gets_no_second_copy(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, known: str, times_before: int
) -> None:
    await put_cup(client)
    customer = await stranger.get(PATH, params={})
    for _ in range(times_before):
        await stranger.get(PATH)

    headers = {"If-None-Match": known.format(customer.headers["etag"])}
    same = await stranger.get(PATH, headers=headers)
    await put_cup(client, price_minor=260)
    newer = await stranger.get(PATH, headers=headers)

    assert (same.status_code, same.content) == (304, b"")
    assert {"etag", "cache-control", "vary"} <= told(same).keys()
    assert "content-length" not in same.headers
    assert newer.status_code == (304 if known == "*" else 200)


async def test_word_that_is_no_tag_is_refused_the_second_time_as_the_first(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put_cup(client)
    headers = {"If-None-Match": "cup"}

    first = await stranger.get(PATH, headers=headers)
    await stranger.get(PATH)
    second = await stranger.get(PATH, headers=headers)

    for answer in (first, second):
        assert_problem(answer, 400, "invalid_request", field="If-None-Match")


async def test_change_over_http_is_seen_at_once_where_it_was_made(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    for minor in (100, 200, 300):
        await put_cup(client, price_minor=minor)
        assert (await stranger.get(PATH)).json()["price_minor"] == minor
        assert (await stranger.get(PATH)).json()["price_minor"] == minor


async def test_what_was_not_there_is_there_once_it_is_created(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    for _ in range(2):
        assert_problem(await stranger.get(PATH), 404, "not_found")

    await put_cup(client)

    assert (await stranger.get(PATH)).status_code == 200


async def test_staff_and_customers_get_nothing_that_others_keep(
    app: Litestar, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put_cup(client)
    customer = (await a_person(app)).headers
    public = await stranger.get(PATH)
    await stranger.get(PATH)

    staff, own = await client.get(PATH), await stranger.get(PATH, headers=customer)

    assert staff.headers["etag"] == '"1"'
    assert [each.headers["cache-control"] for each in (staff, own)] == ["private, no-cache"] * 2
    assert own.content == public.content


async def test_head_says_what_get_would_and_leaves_the_page_whole(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put_cup(client)

    heads = [await stranger.head(PATH) for _ in range(2)]
    got = await stranger.get(PATH)

    assert got.json()["sku"] == "CUP"
    assert [told(head) for head in heads] == [told(got)] * 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{PATH}?price_minor=1", 400),
        ("GET", f"{PATH}?", 200),
        ("GET", f"{PATH}/", 200),
        ("GET", "/v1/variants/cup", 404),
        ("GET", "/v1/variants/C%55P", 200),
        ("GET", "/v1/variants/CUP%00", 400),
        ("DELETE", PATH, 401),
        ("PUT", PATH, 401),
        ("OPTIONS", PATH, 204),
    ],
)
async def test_nothing_but_the_same_question_gets_the_same_page(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    method: str,
    path: str,
    status: int,
) -> None:
    await put_cup(client)
    for _ in range(2):
        await stranger.get(PATH)

    for _ in range(2):
        assert (await stranger.request(method, path)).status_code == status


async def test_credential_that_is_no_good_is_answered_as_it_was_before_the_page_was_known(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put_cup(client)
    headers = {"Authorization": "Bearer junk"}
    first = await stranger.get(PATH, headers=headers)
    for _ in range(2):
        await stranger.get(PATH)

    second = await stranger.get(PATH, headers=headers)

    assert (first.status_code, first.content) == (second.status_code, second.content)


async def test_everybody_sees_the_profile_that_is_their_own_and_its_changes(
    app: Litestar, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    del client
    people = [await a_person(app) for _ in range(2)]

    async def emails() -> list[str]:
        asked = [await stranger.get("/v1/users/me", headers=one.headers) for one in people * 2]
        assert {answer.headers["cache-control"] for answer in asked} == {"private, no-cache"}
        return [answer.json()["email"] for answer in asked]

    assert await emails() == [f"{one.id}@example.com" for one in people * 2]

    renamed = await stranger.patch("/v1/users/me", json={"name": "Ann"}, headers=people[0].headers)
    names = [
        (await stranger.get("/v1/users/me", headers=one.headers)).json()["name"] for one in people
    ]
    assert (renamed.status_code, names[0]) == (200, "Ann")
    assert names[1] != "Ann"
    assert_problem(await stranger.get("/v1/users/me"), 401, "unauthenticated")


async def test_product_that_only_staff_sees_does_not_get_to_others(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    path = "/v1/products/board"
    await client.put(path, json={"name": "Board", "status": "draft"})

    assert (await client.get(path)).status_code == 200
    for asked in (path, f"{path}?currency=GBP"):
        assert_problem(await stranger.get(asked), 404, "not_found")
    assert (await stranger.get("/v1/products")).json() == {"products": []}

    await client.put(path, json={"name": "Board", "status": "active"})
    assert (await stranger.get(path)).json()["name"] == "Board"
    assert len((await stranger.get("/v1/products")).json()["products"]) == 1
