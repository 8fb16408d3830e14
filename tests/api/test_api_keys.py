"""API keys over HTTP: shown once, never more than their maker, ended at once or with an overlap."""

from typing import Any

import httpx
import pytest
from litestar import Litestar

from api import credentials
from db.engine import Database
from db.ids import new_id
from domain.principal import Role, Scope
from tests.api.people import Person, a_key, a_person
from tests.people import rows_of
from tests.web import assert_problem, bearer

READER = {"name": "Reader", "scopes": ["orders:read"]}


async def made(client: httpx.AsyncClient, by: Person, **changes: Any) -> tuple[str, dict[str, Any]]:
    answer = await client.post("/v1/api-keys", json={**READER, **changes}, headers=by.headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["key"], answer.json()["about"]


async def opens(client: httpx.AsyncClient, key: str) -> bool:
    return (await client.get("/v1/orders", headers=bearer(key))).status_code == 200


async def test_key_is_shown_once_and_kept_as_its_digest(
    stranger: httpx.AsyncClient, app: Litestar, database: Database
) -> None:
    ann = await a_person(app)

    key, about = await made(stranger, ann)

    listed = await stranger.get("/v1/api-keys", headers=ann.headers)
    assert await opens(stranger, key)
    assert key not in listed.text
    assert [one["id"] for one in listed.json()["keys"]] == [about["id"]]
    assert credentials.digest(key).hex() not in listed.text
    kept = await rows_of(database, "SELECT api_keys::text FROM api_keys")
    assert key not in str(kept)


@pytest.mark.parametrize(
    ("role", "scope"),
    [(Role.CUSTOMER, "stock:write"), (Role.SUPPORT, "operations:write"), (Role.OPS, "audit:read")],
)
async def test_key_gets_no_scope_that_its_maker_cannot_give(
    stranger: httpx.AsyncClient, app: Litestar, role: Role, scope: str
) -> None:
    maker = await a_person(app, role)
    wanted = {**READER, "scopes": ["orders:read", scope]}

    refused = await stranger.post("/v1/api-keys", json=wanted, headers=maker.headers)

    assert_problem(refused, 403, "forbidden", "scopes")


@pytest.mark.parametrize("tier", ["premium", "machine"])
async def test_key_gets_no_tier_that_its_maker_cannot_give(
    stranger: httpx.AsyncClient, app: Litestar, tier: str
) -> None:
    ann = await a_person(app)
    wanted = {**READER, "tier": tier}

    refused = await stranger.post("/v1/api-keys", json=wanted, headers=ann.headers)

    assert_problem(refused, 403, "forbidden", "tier")


async def test_key_makes_no_key(stranger: httpx.AsyncClient, app: Litestar) -> None:
    admin = await a_person(app, Role.ADMIN)

    refused = await stranger.post(
        "/v1/api-keys", json=READER, headers=await a_key(app, admin.id, *Scope)
    )

    assert_problem(refused, 403, "forbidden")


async def test_key_that_is_revoked_opens_nothing_from_then_on(
    stranger: httpx.AsyncClient, app: Litestar
) -> None:
    ann = await a_person(app)
    key, about = await made(stranger, ann)

    for _ in range(2):
        ended = await stranger.delete(f"/v1/api-keys/{about['id']}", headers=ann.headers)
        assert ended.status_code == 204

    assert not await opens(stranger, key)


async def test_rotated_key_and_its_successor_are_good_beside_each_other(
    stranger: httpx.AsyncClient, app: Litestar
) -> None:
    ann = await a_person(app)
    old, about = await made(stranger, ann)
    path = f"/v1/api-keys/{about['id']}/rotate"

    rotated = await stranger.post(path, json={}, headers=ann.headers)
    again = await stranger.post(path, json={}, headers=ann.headers)

    assert rotated.json()["about"]["scopes"] == about["scopes"]
    assert await opens(stranger, old)
    assert await opens(stranger, rotated.json()["key"])
    assert_problem(again, 409, "conflict")


async def test_key_rotated_without_an_overlap_ends_at_once(
    stranger: httpx.AsyncClient, app: Litestar
) -> None:
    ann = await a_person(app)
    old, about = await made(stranger, ann)

    path = f"/v1/api-keys/{about['id']}/rotate"
    rotated = await stranger.post(path, json={"overlap_s": 0}, headers=ann.headers)

    assert not await opens(stranger, old)
    assert await opens(stranger, rotated.json()["key"])


async def test_key_of_somebody_else_is_as_if_it_were_not_there(
    stranger: httpx.AsyncClient, app: Litestar
) -> None:
    ann, bob = await a_person(app), await a_person(app)
    key, about = await made(stranger, ann)

    for at in (about["id"], str(new_id())):
        path = f"/v1/api-keys/{at}"
        refused = [
            await stranger.delete(path, headers=bob.headers),
            await stranger.post(f"{path}/rotate", json={}, headers=bob.headers),
        ]
        for answer in refused:
            assert_problem(answer, 404, "not_found")
            assert answer.json()["detail"] == f"There is no API key {at}."

    assert await opens(stranger, key)


async def test_use_of_a_key_is_written_down_and_who_disables_its_owner_ends_it(
    stranger: httpx.AsyncClient, app: Litestar, database: Database
) -> None:
    ann = await a_person(app)
    key, about = await made(stranger, ann)

    assert await opens(stranger, key)
    await app.state.standings.close()

    query = "SELECT last_used_at IS NOT NULL FROM api_keys WHERE id = :id"
    assert await rows_of(database, query, id=about["id"]) == [(True,)]
    await rows_of(
        database, "UPDATE users SET disabled_at = now() WHERE id = :id RETURNING 1", id=ann.id
    )
    assert not await opens(stranger, key)


async def test_what_staff_does_is_in_the_audit_log_with_before_and_after(
    client: httpx.AsyncClient, app: Litestar
) -> None:
    ops = await a_person(app, Role.OPS)
    product = {"name": "Tea", "price_minor": 450, "currency": "GBP"}

    await client.put("/v1/variants/TEA", json=product, headers=ops.headers)
    await client.put("/v1/variants/TEA", json={**product, "price_minor": 1}, headers=ops.headers)

    page = await client.get("/v1/audit", params={"actor": str(ops.id), "limit": 1})
    [last] = page.json()["entries"]
    assert (last["action"], last["target"], last["actor_kind"]) == ("variant.put", "TEA", "user")
    assert (last["before"]["price_minor"], last["after"]["price_minor"]) == (450, 1)
    assert last["request_id"]
    following = page.headers["link"].partition("<")[2].partition(">")[0]
    assert len((await client.get(following)).json()["entries"]) == 1


async def test_what_is_refused_is_not_in_the_audit_log(
    client: httpx.AsyncClient, app: Litestar
) -> None:
    ops = await a_person(app, Role.OPS)
    product = {"name": "Tea", "price_minor": 450, "currency": "GBP"}
    headers = {**ops.headers, "If-Match": '"7"'}

    refused = await client.put("/v1/variants/TEA", json=product, headers=headers)

    assert_problem(refused, 412, "precondition_failed")
    page = await client.get("/v1/audit", params={"actor": str(ops.id)})
    assert page.json()["entries"] == []
