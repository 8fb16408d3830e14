"""Nobody finds out who has an account: not by what is answered, nor by how long it takes."""

import os
from collections.abc import Awaitable, Callable

import httpx
import pytest

from db.engine import Database
from tests.people import OTHER_PASSWORD, PASSWORD, logged_in, someone
from tests.timing import apart

KNOWN, UNKNOWN = "ann@example.com", "eve@example.com"
# What `make timing` takes tells a difference of a twentieth; a few tell the work that is missing.
SAMPLES = int(os.environ.get("TIMING_SAMPLES", "15"))
APART_MAX = 0.05 if SAMPLES >= 300 else 0.2
TIMEOUT_S = 60 + SAMPLES

Ask = Callable[[str], Awaitable[httpx.Response]]
Kind = Callable[[httpx.AsyncClient, Database], Awaitable[Ask]]


async def login(stranger: httpx.AsyncClient, _: Database) -> Ask:
    async def ask(email: str) -> httpx.Response:
        body = {"email": email, "password": OTHER_PASSWORD}
        return await stranger.post("/v1/sessions", json=body)

    return ask


async def registration(stranger: httpx.AsyncClient, _: Database) -> Ask:
    async def ask(email: str) -> httpx.Response:
        body = {"email": email, "password": PASSWORD}
        return await stranger.post("/v1/registrations", json=body)

    return ask


async def reset(stranger: httpx.AsyncClient, _: Database) -> Ask:
    async def ask(email: str) -> httpx.Response:
        return await stranger.post("/v1/password-resets", json={"email": email})

    return ask


async def another_address(stranger: httpx.AsyncClient, database: Database) -> Ask:
    await someone(database, "bob@example.com")
    bob = await logged_in(stranger, "bob@example.com")

    async def ask(email: str) -> httpx.Response:
        body = {"email": email, "password": PASSWORD}
        return await stranger.post("/v1/users/me/email", json=body, headers=bob.headers)

    return ask


ASKS = [login, registration, reset, another_address]


def told(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Give everything that an answer says, but its own name."""
    headers = {name: v for name, v in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, answer.content, headers


@pytest.mark.parametrize("kind", ASKS)
async def test_answer_is_the_same_for_an_account_and_for_none(
    stranger: httpx.AsyncClient, database: Database, kind: Kind
) -> None:
    await someone(database, KNOWN)
    ask = await kind(stranger, database)

    assert told(await ask(KNOWN)) == told(await ask(UNKNOWN))


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("kind", ASKS)
async def test_answer_takes_as_long_for_an_account_as_for_none(
    stranger: httpx.AsyncClient, database: Database, kind: Kind
) -> None:
    await someone(database, KNOWN)
    ask = await kind(stranger, database)
    await ask(KNOWN)

    measured = await apart(
        lambda: ask(KNOWN), lambda: ask(UNKNOWN), samples=SAMPLES, within=APART_MAX
    )

    assert measured <= APART_MAX
