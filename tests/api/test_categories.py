"""The tree of categories over HTTP: for everybody to read, for staff to shape."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.web import assert_problem


async def put(
    client: httpx.AsyncClient, staff: dict[str, str], slug: str, **content: Any
) -> httpx.Response:
    body = {"name": slug.title(), **content}
    return await client.put(f"/v1/categories/{slug}", json=body, headers=staff)


async def test_category_is_created_moved_and_read_by_everybody(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    created = await put(client, staff, "home")
    child = await put(client, staff, "pans", parent="home", rank=3)
    moved = await put(client, staff, "pans")

    read = await client.get("/v1/categories/pans")
    tree = await client.get("/v1/categories")

    assert [a.status_code for a in (created, child, moved)] == [201, 201, 200]
    assert child.json() == {
        "slug": "pans",
        "name": "Pans",
        "parent": "home",
        "rank": 3,
        "version": 1,
    }
    assert read.json() == moved.json()
    assert read.headers["etag"] == '"2"'
    assert [each["slug"] for each in tree.json()["categories"]] == ["home", "pans"]


async def test_change_goes_through_only_if_its_sender_saw_the_last_version(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    await put(client, staff, "home")
    await put(client, staff, "home", rank=1)

    stale = await put(client, staff | {"If-Match": '"1"'}, "home", rank=2)
    unseen = await put(client, staff | {"If-None-Match": "*"}, "home", rank=2)
    kept = await client.delete("/v1/categories/home", headers=staff | {"If-Match": '"1"'})
    fresh = await put(client, staff | {"If-Match": '"2"'}, "home", rank=2)

    for refused in (stale, unseen, kept):
        assert_problem(refused, 412, "precondition_failed")
    assert fresh.json()["version"] == 3


async def test_category_in_use_is_not_deleted(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    await put(client, staff, "home")
    await put(client, staff, "pans", parent="home")

    refused = await client.delete("/v1/categories/home", headers=staff)
    gone = await client.delete("/v1/categories/pans", headers=staff)
    again = await client.delete("/v1/categories/pans", headers=staff)

    assert_problem(refused, 409, "category_in_use")
    assert [gone.status_code, again.status_code] == [204, 204]
    assert_problem(await client.get("/v1/categories/pans"), 404, "not_found")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"parent": "nowhere"}, 422),
        ({"parent": "pans"}, 422),
        ({"parent": "No Slug"}, 400),
        ({"rank": -1}, 400),
        ({"name": ""}, 400),
    ],
)
async def test_refusal_names_the_field(
    client: httpx.AsyncClient, staff: dict[str, str], content: dict[str, Any], status: int
) -> None:
    refused = await put(client, staff, "pans", **content)

    code = {400: "invalid_request", 422: "category_misplaced"}[status]
    assert_problem(refused, status, code, *content)


async def test_of_creations_at_once_one_goes_through(
    client: httpx.AsyncClient, staff: dict[str, str]
) -> None:
    new = staff | {"If-None-Match": "*"}

    answers = await asyncio.gather(*(put(client, new, "home", rank=n) for n in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 7
