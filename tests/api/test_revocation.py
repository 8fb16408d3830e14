"""What is taken from somebody is gone with their next request, not when a token expires."""

import httpx
import pytest

from db.engine import Database
from domain.principal import Role
from ops.config import Settings
from tests.people import (
    OTHER_PASSWORD,
    PASSWORD,
    Tokens,
    code_of,
    is_let_in,
    log_in,
    logged_in,
    mails,
    someone,
    tokens,
)


@pytest.fixture
async def admin(stranger: httpx.AsyncClient, database: Database) -> Tokens:
    await someone(database, "root@example.com", Role.ADMIN)
    return await logged_in(stranger, "root@example.com")


async def change(
    stranger: httpx.AsyncClient, admin: Tokens, user_id: str, **changes: object
) -> httpx.Response:
    return await stranger.patch(f"/v1/users/{user_id}", json=changes, headers=admin.headers)


async def test_who_is_disabled_is_out_with_the_next_request(
    stranger: httpx.AsyncClient, database: Database, admin: Tokens
) -> None:
    user_id = await someone(database)
    who = await logged_in(stranger)

    disabled = await change(stranger, admin, user_id, disabled=True)

    assert (disabled.status_code, disabled.json()["disabled"]) == (200, True)
    assert not await is_let_in(stranger, who)
    assert (await log_in(stranger)).status_code == 401


async def test_another_tier_counts_at_once_and_logs_nobody_out(
    stranger: httpx.AsyncClient, database: Database, admin: Tokens
) -> None:
    user_id = await someone(database)
    who = await logged_in(stranger)

    await change(stranger, admin, user_id, tier="premium")
    me = await stranger.get("/v1/users/me", headers=who.headers)

    assert (me.status_code, me.json().get("tier")) == (200, "premium")


async def test_who_is_enabled_again_logs_in_anew(
    stranger: httpx.AsyncClient, database: Database, admin: Tokens
) -> None:
    user_id = await someone(database)
    who = await logged_in(stranger)

    await change(stranger, admin, user_id, disabled=True)
    await change(stranger, admin, user_id, disabled=False)

    assert not await is_let_in(stranger, who)
    assert await is_let_in(stranger, await logged_in(stranger))


async def test_changed_role_counts_from_the_next_request_and_the_session_goes_on(
    stranger: httpx.AsyncClient, database: Database, admin: Tokens
) -> None:
    user_id = await someone(database, "sue@example.com", Role.ADMIN)
    sue = await logged_in(stranger, "sue@example.com")
    assert (await stranger.get("/v1/users", headers=sue.headers)).status_code == 200

    await change(stranger, admin, user_id, role="customer")

    assert (await stranger.get("/v1/users", headers=sue.headers)).status_code == 401
    body = {"refresh_token": sue.refresh_token}
    sue = tokens(await stranger.post("/v1/sessions/refresh", json=body))
    assert await is_let_in(stranger, sue)
    assert (await stranger.get("/v1/users", headers=sue.headers)).status_code == 403


async def test_changed_password_ends_all_sessions_but_the_new_one(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    here, there = await logged_in(stranger), await logged_in(stranger)
    body = {"password": PASSWORD, "new_password": OTHER_PASSWORD}

    changed = await stranger.put("/v1/users/me/password", json=body, headers=here.headers)

    assert [await is_let_in(stranger, who) for who in (here, there)] == [False, False]
    assert await is_let_in(stranger, tokens(changed))
    for old in (here, there):
        again = await stranger.post(
            "/v1/sessions/refresh", json={"refresh_token": old.refresh_token}
        )
        assert again.status_code == 401
    assert (await log_in(stranger)).status_code == 401
    assert (await log_in(stranger, password=OTHER_PASSWORD)).status_code == 201


async def test_reset_password_ends_all_sessions(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await someone(database)
    who = await logged_in(stranger)
    await stranger.post("/v1/password-resets", json={"email": "ann@example.com"})
    [mail] = await mails(database, settings)
    body = {"code": code_of(mail), "password": OTHER_PASSWORD}

    reset = await stranger.post("/v1/password-resets/confirm", json=body)

    assert reset.status_code == 204
    assert not await is_let_in(stranger, who)
    assert (await log_in(stranger)).status_code == 401
    assert await is_let_in(stranger, await logged_in(stranger, password=OTHER_PASSWORD))


async def test_deleted_account_is_out_with_the_next_request(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    who = await logged_in(stranger)

    body = {"password": PASSWORD}
    deleted = await stranger.post("/v1/users/me/delete", json=body, headers=who.headers)

    assert deleted.status_code == 204
    assert not await is_let_in(stranger, who)
