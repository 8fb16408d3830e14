"""Admins manage people: found, promoted, disabled; written down, and never themselves."""

import asyncio
from uuid import uuid4

import httpx
import psycopg
import pytest
from sqlalchemy import text

from db.engine import Database, transaction
from domain.principal import Role
from ops.config import Settings
from tests.db.backends import until_blocked
from tests.people import Tokens, logged_in, rows_of, someone
from tests.web import assert_problem


@pytest.fixture
async def admin(stranger: httpx.AsyncClient, database: Database) -> Tokens:
    await someone(database, "root@example.com", Role.ADMIN)
    return await logged_in(stranger, "root@example.com")


async def test_admin_finds_people(
    stranger: httpx.AsyncClient, database: Database, admin: Tokens
) -> None:
    ann = await someone(database)
    sue = await someone(database, "sue@example.com", Role.SUPPORT)
    await rows_of(
        database, "UPDATE users SET disabled_at = now() WHERE id = :id RETURNING id", id=sue
    )

    async def found(query: str) -> list[str]:
        answer = await stranger.get(f"/v1/users{query}", headers=admin.headers)
        assert answer.status_code == 200, answer.text
        return [user["id"] for user in answer.json()["users"]]

    assert (await found(""))[:2] == [sue, ann]
    assert await found("?email=ANN@example.com") == [ann]
    assert await found("?role=support") == [sue]
    assert await found("?disabled=true") == [sue]
    assert await found("?email=eve@example.com") == []
    assert await found("?limit=1") == [sue]


@pytest.mark.parametrize("query", ["role=king", "disabled=maybe", "email=%C3%A4", "limit=0", "x=1"])
async def test_list_narrowed_by_nonsense_is_refused(
    stranger: httpx.AsyncClient, admin: Tokens, query: str
) -> None:
    answer = await stranger.get(f"/v1/users?{query}", headers=admin.headers)

    assert_problem(answer, 400, "invalid_request", query.partition("=")[0])


async def test_change_is_audited_with_what_was_before(
    stranger: httpx.AsyncClient, database: Database, admin: Tokens
) -> None:
    ann = await someone(database)

    changed = await stranger.patch(
        f"/v1/users/{ann}", json={"role": "ops", "tier": "premium"}, headers=admin.headers
    )
    same = await stranger.patch(f"/v1/users/{ann}", json={"role": "ops"}, headers=admin.headers)

    assert (changed.json()["role"], changed.json()["tier"]) == ("ops", "premium")
    assert same.json()["version"] == changed.json()["version"]
    log = await rows_of(database, "SELECT action, target, before, after FROM audit_log")
    before = {"role": "customer", "tier": "authenticated", "disabled": False}
    after = {"role": "ops", "tier": "premium", "disabled": False}
    assert log == [("user.change", ann, before, after)]


async def test_admin_does_not_change_themselves(
    stranger: httpx.AsyncClient, database: Database, admin: Tokens
) -> None:
    [(own,)] = await rows_of(database, "SELECT id FROM users WHERE email = 'root@example.com'")

    for change in ({"role": "customer"}, {"disabled": True}):
        refused = await stranger.patch(f"/v1/users/{own}", json=change, headers=admin.headers)
        assert_problem(refused, 403, "forbidden")


async def test_change_of_what_was_changed_meanwhile_is_refused(
    stranger: httpx.AsyncClient, database: Database, admin: Tokens
) -> None:
    ann = await someone(database)
    headers = {"If-Match": '"7"', **admin.headers}

    refused = await stranger.patch(f"/v1/users/{ann}", json={"role": "ops"}, headers=headers)

    assert_problem(refused, 412, "precondition_failed")


async def test_person_who_is_not_there_is_not_found(
    stranger: httpx.AsyncClient, admin: Tokens
) -> None:
    path = f"/v1/users/{uuid4()}"

    assert_problem(await stranger.get(path, headers=admin.headers), 404, "not_found")
    body = {"role": "ops"}
    assert_problem(await stranger.patch(path, json=body, headers=admin.headers), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "king"}, "role"),
        ({"tier": "anonymous"}, "tier"),
        ({"tier": "machine"}, "tier"),
        ({"disabled": "yes"}, "disabled"),
        ({"password_hash": "x"}, "password_hash"),
        ({"token_version": 9}, "token_version"),
    ],
)
async def test_what_cannot_be_is_refused(
    stranger: httpx.AsyncClient, database: Database, admin: Tokens, body: dict[str, str], field: str
) -> None:
    ann = await someone(database)

    refused = await stranger.patch(f"/v1/users/{ann}", json=body, headers=admin.headers)

    assert_problem(refused, 400, "invalid_request", field)


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.SUPPORT, Role.OPS])
async def test_nobody_else_manages_people(
    stranger: httpx.AsyncClient, database: Database, role: Role
) -> None:
    user_id = await someone(database, role=role)
    who = await logged_in(stranger)

    answers = [
        await stranger.get("/v1/users", headers=who.headers),
        await stranger.get(f"/v1/users/{user_id}", headers=who.headers),
        await stranger.patch(f"/v1/users/{user_id}", json={"role": "admin"}, headers=who.headers),
    ]

    for answer in answers:
        assert_problem(answer, 403, "forbidden")


async def test_of_two_admins_who_end_each_other_at_once_one_is_left(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, admin: Tokens
) -> None:
    hers = await someone(database, "ada@example.com", Role.ADMIN)
    ada = await logged_in(stranger, "ada@example.com")
    [(roots,)] = await rows_of(database, "SELECT id FROM users WHERE email = 'root@example.com'")

    async def end(who: Tokens, whom: str) -> httpx.Response:
        body = {"disabled": True}
        return await stranger.patch(f"/v1/users/{whom}", json=body, headers=who.headers)

    url = settings.database_url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as watch:
        async with transaction(database) as tx:
            # Who asks is let in, and waits: as if both had asked in the same moment.
            await tx.execute(text("SELECT FROM users WHERE role = 'admin' FOR UPDATE"))
            asked = [asyncio.create_task(end(*x)) for x in ((admin, hers), (ada, roots))]
            await until_blocked(watch, 2)
        answers = await asyncio.gather(*asked)

    assert sorted(answer.status_code for answer in answers) == [200, 403]
