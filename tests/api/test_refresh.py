"""Refresh tokens: rotated, one successor each, and an alarm when one is used again."""

import asyncio

import httpx
import pytest
from sqlalchemy.exc import IntegrityError

from db import sessions
from db.engine import Database, transaction
from db.sessions import Granted, Lifetimes
from ops.config import Settings
from tests.people import (
    Tokens,
    age_refresh_tokens,
    is_let_in,
    logged_in,
    mails,
    rows_of,
    someone,
    tokens,
)
from tests.postgres import until, waiting_for_locks
from tests.web import assert_problem


async def refresh(stranger: httpx.AsyncClient, token: str) -> httpx.Response:
    return await stranger.post("/v1/sessions/refresh", json={"refresh_token": token})


@pytest.fixture
async def ann(stranger: httpx.AsyncClient, database: Database) -> Tokens:
    await someone(database)
    return await logged_in(stranger)


async def test_token_is_exchanged_for_another_of_the_same_session(
    stranger: httpx.AsyncClient, ann: Tokens
) -> None:
    following = tokens(await refresh(stranger, ann.refresh_token))
    third = tokens(await refresh(stranger, following.refresh_token))

    assert ann.session_id == following.session_id == third.session_id
    assert len({ann.refresh_token, following.refresh_token, third.refresh_token}) == 3
    assert await is_let_in(stranger, third)


async def test_of_twenty_who_use_it_at_once_exactly_one_has_a_successor(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    answers = await asyncio.gather(*(refresh(stranger, ann.refresh_token) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19
    [won] = [tokens(answer) for answer in answers if answer.status_code == 200]
    assert await rows_of(database, "SELECT count(*) FROM refresh_tokens") == [(2,)]
    assert await is_let_in(stranger, won)
    assert tokens(await refresh(stranger, won.refresh_token))


async def test_who_comes_while_another_is_given_a_successor_waits_and_gets_none(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    async def is_waiting() -> bool:
        return await waiting_for_locks(database) == 1

    async with transaction(database) as tx:
        first = await sessions.refresh(tx, ann.refresh_token, lasting=Lifetimes(60, 60))
        second = asyncio.create_task(refresh(stranger, ann.refresh_token))
        await until(is_waiting)

    assert isinstance(first, Granted)
    assert_problem(await second, 401, "unauthenticated", "refresh_token")


async def test_repeat_within_seconds_is_refused_and_ends_nothing(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    following = tokens(await refresh(stranger, ann.refresh_token))
    await age_refresh_tokens(database, 4)

    again = await refresh(stranger, ann.refresh_token)

    assert_problem(again, 401, "unauthenticated", "refresh_token")
    assert await is_let_in(stranger, following)
    assert tokens(await refresh(stranger, following.refresh_token))
    assert await rows_of(database, "SELECT count(*) FROM security_events") == [(1,)]


async def test_use_of_an_old_token_ends_the_session_and_tells_the_owner(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens
) -> None:
    elsewhere = await logged_in(stranger)
    following = tokens(await refresh(stranger, ann.refresh_token))
    await age_refresh_tokens(database)

    stolen = await refresh(stranger, ann.refresh_token)

    assert_problem(stolen, 401, "unauthenticated", "refresh_token")
    assert not await is_let_in(stranger, following)
    assert (await refresh(stranger, following.refresh_token)).status_code == 401
    assert await is_let_in(stranger, elsewhere)
    noted = "SELECT kind, session_id::text FROM security_events WHERE kind <> 'login'"
    assert await rows_of(database, noted) == [("refresh_reused", ann.session_id)]
    reason = "SELECT revoked_reason FROM sessions WHERE revoked_at IS NOT NULL"
    assert await rows_of(database, reason) == [("reuse",)]
    [mail] = await mails(database, settings)
    assert (mail.to, mail.subject) == ("ann@example.com", "We ended one of your sessions")


async def test_alarm_is_raised_once(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens
) -> None:
    await refresh(stranger, ann.refresh_token)
    await age_refresh_tokens(database)

    for _ in range(3):
        assert (await refresh(stranger, ann.refresh_token)).status_code == 401

    assert len(await mails(database, settings)) == 1


async def test_grandparent_ends_the_session_too(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    second = tokens(await refresh(stranger, ann.refresh_token))
    third = tokens(await refresh(stranger, second.refresh_token))
    await age_refresh_tokens(database)

    assert (await refresh(stranger, ann.refresh_token)).status_code == 401

    assert not await is_let_in(stranger, third)


async def test_token_that_was_never_ours_is_refused(stranger: httpx.AsyncClient) -> None:
    assert_problem(await refresh(stranger, "A" * 43), 401, "unauthenticated", "refresh_token")


@pytest.mark.parametrize("token", ["", "x", "A" * 44, "A" * 42, "ä" * 43, "A" * 42 + "\n"])
async def test_what_is_no_refresh_token_is_a_bad_request(
    stranger: httpx.AsyncClient, token: str
) -> None:
    assert_problem(await refresh(stranger, token), 400, "invalid_request", "refresh_token")


async def test_neither_token_passes_for_the_other(stranger: httpx.AsyncClient, ann: Tokens) -> None:
    as_access = {"Authorization": f"Bearer {ann.refresh_token}"}

    assert (await stranger.get("/v1/users/me", headers=as_access)).status_code == 401
    assert (await refresh(stranger, ann.access_token)).status_code == 400


async def test_token_that_was_unused_for_weeks_is_refused(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    await rows_of(
        database, "UPDATE refresh_tokens SET expires_at = now() - interval '1 s' RETURNING hash"
    )

    assert (await refresh(stranger, ann.refresh_token)).status_code == 401


async def test_disabled_account_does_not_go_on(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    await rows_of(database, "UPDATE users SET disabled_at = now() RETURNING id")

    assert (await refresh(stranger, ann.refresh_token)).status_code == 401


async def test_two_successors_cannot_be_written_down(database: Database, ann: Tokens) -> None:
    with pytest.raises(IntegrityError, match="refresh_tokens_current"):
        await rows_of(
            database,
            "INSERT INTO refresh_tokens (hash, session_id, expires_at)"
            " VALUES (decode(repeat('ab', 32), 'hex'), :id, now()) RETURNING hash",
            id=ann.session_id,
        )
