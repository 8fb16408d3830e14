"""Logging in and out, and what ends a session at once."""

from uuid import uuid4

import httpx
import pytest
from argon2 import PasswordHasher

from db.engine import Database
from ops.config import Settings
from tests.people import (
    PASSWORD,
    is_let_in,
    log_in,
    logged_in,
    mails,
    rows_of,
    someone,
    with_factor,
)
from tests.web import assert_problem

REFUSED = "The password is wrong, or there is no such account, or it may not log in."


async def test_who_logs_in_is_let_in(stranger: httpx.AsyncClient, database: Database) -> None:
    user_id = await someone(database)

    who = await logged_in(stranger)
    me = await stranger.get("/v1/users/me", headers=who.headers)

    assert (who.token_type, who.expires_in) == ("Bearer", 900)
    assert (me.status_code, me.json()["id"]) == (200, user_id)
    assert me.headers["cache-control"] == "private, no-cache"


async def test_who_does_not_is_not(stranger: httpx.AsyncClient) -> None:
    assert_problem(await stranger.get("/v1/users/me"), 401, "unauthenticated")


@pytest.mark.parametrize("password", [PASSWORD + " ", PASSWORD.upper(), PASSWORD[:-1], "x"])
async def test_wrong_password_is_refused_as_an_unknown_account_is(
    stranger: httpx.AsyncClient, database: Database, password: str
) -> None:
    await someone(database)

    wrong = await log_in(stranger, password=password)
    unknown = await log_in(stranger, "eve@example.com", password=password)

    assert_problem(wrong, 401, "login_refused")
    assert wrong.json()["detail"] == REFUSED
    assert wrong.content == unknown.content


async def test_disabled_account_is_refused_as_an_unknown_one_is(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    await rows_of(database, "UPDATE users SET disabled_at = now() RETURNING id")

    assert (await log_in(stranger)).content == (await log_in(stranger, "eve@example.com")).content


async def test_disabled_account_does_not_tell_that_the_password_is_right(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    await with_factor(stranger, await logged_in(stranger), database)
    await rows_of(database, "UPDATE users SET disabled_at = now() RETURNING id")

    assert_problem(await log_in(stranger), 401, "login_refused")


async def test_tokens_are_stored_as_digests_only(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    who = await logged_in(stranger)

    stored = str(
        await rows_of(
            database,
            "SELECT s::text || r::text || u::text FROM sessions s, refresh_tokens r, users u",
        )
    )
    assert who.refresh_token not in stored
    assert who.access_token not in stored
    assert PASSWORD not in stored


async def test_sessions_are_listed_with_whence_they_come(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    first = await logged_in(stranger)
    headers = {"User-Agent": "Lynx/2.9 \t on a ship"}
    body = {"email": "ann@example.com", "password": PASSWORD}
    second = (await stranger.post("/v1/sessions", json=body, headers=headers)).json()

    listed = (await stranger.get("/v1/sessions", headers=first.headers)).json()

    assert listed["current"] == first.session_id
    newest, oldest = listed["sessions"]
    assert (newest["id"], oldest["id"]) == (second["session_id"], first.session_id)
    assert newest["user_agent"] == "Lynx/2.9  on a ship"
    assert newest["address"] == "127.0.0.1"
    assert newest["mfa"] is False


async def test_long_list_of_sessions_has_pages(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    all_of_them = [await logged_in(stranger) for _ in range(3)]

    first = await stranger.get("/v1/sessions?limit=2", headers=all_of_them[0].headers)
    following = first.headers["link"].partition(">")[0].lstrip("<")
    second = await stranger.get(following, headers=all_of_them[0].headers)

    pages = [[each["id"] for each in page.json()["sessions"]] for page in (first, second)]
    assert pages == [
        [all_of_them[2].session_id, all_of_them[1].session_id],
        [all_of_them[0].session_id],
    ]
    assert "link" not in second.headers


async def test_logging_out_ends_this_session_and_no_other(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    here, there = await logged_in(stranger), await logged_in(stranger)

    out = await stranger.delete("/v1/sessions/current", headers=here.headers)

    assert out.status_code == 204
    assert not await is_let_in(stranger, here)
    assert await is_let_in(stranger, there)
    again = await stranger.post("/v1/sessions/refresh", json={"refresh_token": here.refresh_token})
    assert_problem(again, 401, "unauthenticated", "refresh_token")


async def test_logging_out_everywhere_ends_all_sessions_of_one_person(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    await someone(database, "bob@example.com")
    here, there = await logged_in(stranger), await logged_in(stranger)
    bob = await logged_in(stranger, "bob@example.com")

    assert (await stranger.delete("/v1/sessions", headers=here.headers)).status_code == 204

    assert [await is_let_in(stranger, who) for who in (here, there, bob)] == [False, False, True]


async def test_one_session_is_ended_from_another(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    here, there = await logged_in(stranger), await logged_in(stranger)
    path = f"/v1/sessions/{there.session_id}"

    ended = await stranger.delete(path, headers=here.headers)
    again = await stranger.delete(path, headers=here.headers)

    assert ended.status_code == 204
    assert_problem(again, 404, "not_found")
    assert [await is_let_in(stranger, who) for who in (here, there)] == [True, False]


async def test_session_of_somebody_else_is_not_there(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    await someone(database, "bob@example.com")
    ann, bob = await logged_in(stranger), await logged_in(stranger, "bob@example.com")
    nowhere = str(uuid4())

    his = await stranger.delete(f"/v1/sessions/{bob.session_id}", headers=ann.headers)
    none = await stranger.delete(f"/v1/sessions/{nowhere}", headers=ann.headers)

    assert_problem(his, 404, "not_found")
    assert his.text.replace(bob.session_id, nowhere) == none.text
    assert await is_let_in(stranger, bob)


async def test_session_ends_after_its_time(stranger: httpx.AsyncClient, database: Database) -> None:
    await someone(database)
    who = await logged_in(stranger)
    await rows_of(
        database,
        "UPDATE sessions SET created_at = created_at - interval '31 d',"
        " expires_at = expires_at - interval '31 d' RETURNING id",
    )

    again = await stranger.post("/v1/sessions/refresh", json={"refresh_token": who.refresh_token})

    assert not await is_let_in(stranger, who)
    assert_problem(again, 401, "unauthenticated", "refresh_token")


async def test_hash_of_other_parameters_is_renewed_at_the_next_login(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await rows_of(database, "UPDATE users SET password_hash = :weak RETURNING id", weak=weak)

    before = await logged_in(stranger)

    [(kept,)] = await rows_of(database, "SELECT password_hash FROM users WHERE email LIKE 'ann@%'")
    assert "m=19456,t=2" in kept
    assert await is_let_in(stranger, before)
    assert (await log_in(stranger)).status_code == 201


async def test_logging_in_is_noted_for_the_owner(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await someone(database)
    who = await logged_in(stranger)

    noted = await rows_of(database, "SELECT kind, session_id::text, address FROM security_events")

    assert noted == [("login", who.session_id, "127.0.0.1")]
    assert await mails(database, settings) == []
