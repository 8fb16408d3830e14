"""Nobody finds out who has an account: not by what is answered, nor by how long it takes."""

import time
from collections.abc import Awaitable, Callable
from statistics import median

import httpx
import pytest

from db.engine import Database
from tests.people import OTHER_PASSWORD, PASSWORD, logged_in, someone

KNOWN, UNKNOWN = "ann@example.com", "eve@example.com"
# Of each kind, by turns, so that what the machine does besides meets both alike.
SAMPLES = 40
# Noise fails one round now and then; what differs by work fails all of them.
ROUNDS_MAX = 4
APART_MAX = 0.05

Ask = Callable[[str], Awaitable[httpx.Response]]


def login(stranger: httpx.AsyncClient) -> Ask:
    async def ask(email: str) -> httpx.Response:
        body = {"email": email, "password": OTHER_PASSWORD}
        return await stranger.post("/v1/sessions", json=body)

    return ask


def registration(stranger: httpx.AsyncClient) -> Ask:
    async def ask(email: str) -> httpx.Response:
        body = {"email": email, "password": PASSWORD}
        return await stranger.post("/v1/registrations", json=body)

    return ask


def reset(stranger: httpx.AsyncClient) -> Ask:
    async def ask(email: str) -> httpx.Response:
        return await stranger.post("/v1/password-resets", json={"email": email})

    return ask


ASKS = [login, registration, reset]


def told(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Give everything that an answer says, but its own name."""
    headers = {name: v for name, v in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, answer.content, headers


@pytest.mark.parametrize("kind", ASKS)
async def test_answer_is_the_same_for_an_account_and_for_none(
    stranger: httpx.AsyncClient, database: Database, kind: Callable[[httpx.AsyncClient], Ask]
) -> None:
    await someone(database, KNOWN)
    ask = kind(stranger)

    assert told(await ask(KNOWN)) == told(await ask(UNKNOWN))


async def _apart(ask: Ask) -> float:
    """Measure by which share of the shorter one the medians differ."""
    took: dict[str, list[float]] = {KNOWN: [], UNKNOWN: []}
    for number in range(SAMPLES):
        for email in (KNOWN, UNKNOWN) if number % 2 else (UNKNOWN, KNOWN):
            began = time.perf_counter()
            await ask(email)
            took[email].append(time.perf_counter() - began)
    known, unknown = median(took[KNOWN]), median(took[UNKNOWN])
    return abs(known - unknown) / min(known, unknown)


@pytest.mark.parametrize("kind", ASKS)
async def test_answer_takes_as_long_for_an_account_as_for_none(
    stranger: httpx.AsyncClient, database: Database, kind: Callable[[httpx.AsyncClient], Ask]
) -> None:
    await someone(database, KNOWN)
    ask = kind(stranger)
    await ask(KNOWN)

    apart: list[float] = []
    while not apart or (apart[-1] > APART_MAX and len(apart) < ROUNDS_MAX):
        apart.append(await _apart(ask))

    assert min(apart) <= APART_MAX, apart


async def test_changing_to_a_taken_address_answers_as_changing_to_a_free_one(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database, KNOWN)
    await someone(database, "bob@example.com")
    bob = await logged_in(stranger, "bob@example.com")

    async def ask(email: str) -> httpx.Response:
        body = {"email": email, "password": PASSWORD}
        return await stranger.post("/v1/users/me/email", json=body, headers=bob.headers)

    assert told(await ask(KNOWN)) == told(await ask(UNKNOWN))
