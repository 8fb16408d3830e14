"""Registering: an account begins with a confirmed address, and nobody makes one for another."""

import asyncio

import httpx
import msgspec
import pytest

from api.application import build
from db.engine import Database
from ops.config import Settings
from tests.people import OTHER_PASSWORD, PASSWORD, code_of, log_in, mails, rows_of, someone
from tests.web import assert_problem, served

ANN = {"email": "Ann@Example.com", "password": PASSWORD, "name": "Ann Example"}


async def confirm(
    stranger: httpx.AsyncClient, code: str, password: str = PASSWORD
) -> httpx.Response:
    body = {"code": code, "password": password}
    return await stranger.post("/v1/registrations/confirm", json=body)


async def test_who_confirms_the_address_has_an_account(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    asked = await stranger.post("/v1/registrations", json=ANN)
    [mail] = await mails(database, settings)
    made = await confirm(stranger, code_of(mail))

    assert (asked.status_code, list(asked.json())) == (202, ["detail"])
    assert (mail.to, mail.subject) == ("Ann@Example.com", "Confirm your address")
    assert f"{settings.public_url}/account/confirm#{code_of(mail)}" in mail.text
    assert made.status_code == 201
    account = made.json()
    assert (account["email"], account["name"]) == ("Ann@Example.com", "Ann Example")
    assert (account["role"], account["tier"]) == ("customer", "authenticated")
    assert (await log_in(stranger, "ann@example.COM")).status_code == 201


async def test_before_the_address_is_confirmed_there_is_no_account(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await stranger.post("/v1/registrations", json=ANN)

    assert_problem(await log_in(stranger), 401, "login_refused")
    assert await rows_of(
        database, "SELECT count(*) FROM users WHERE email LIKE '%@example.com'"
    ) == [(0,)]


async def test_nothing_that_is_stored_opens_an_account(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await stranger.post("/v1/registrations", json=ANN)
    [mail] = await mails(database, settings)

    stored = str(
        await rows_of(
            database,
            "SELECT c::text, n::text, t::text FROM one_time_codes c, account_notices n, tasks t",
        )
    )
    assert code_of(mail) not in stored
    assert PASSWORD not in stored


async def test_code_is_good_once_even_for_many_at_a_time(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await stranger.post("/v1/registrations", json=ANN)
    [mail] = await mails(database, settings)

    answers = await asyncio.gather(*(confirm(stranger, code_of(mail)) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422, 422]
    assert_problem(await confirm(stranger, code_of(mail)), 422, "code_refused", "code")


async def test_owner_who_confirms_does_not_confirm_the_password_of_somebody_else(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await stranger.post("/v1/registrations", json=ANN | {"password": OTHER_PASSWORD})
    await stranger.post("/v1/registrations", json=ANN)
    [theirs, own] = await mails(database, settings)

    refused = await confirm(stranger, code_of(theirs))
    made = await confirm(stranger, code_of(own))

    assert_problem(refused, 401, "login_refused", "password")
    assert made.status_code == 201
    assert (await log_in(stranger)).status_code == 201
    assert (await log_in(stranger, password=OTHER_PASSWORD)).status_code == 401
    assert_problem(
        await confirm(stranger, code_of(theirs), OTHER_PASSWORD), 422, "code_refused", "code"
    )


async def test_code_is_good_for_a_day(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await stranger.post("/v1/registrations", json=ANN)
    [mail] = await mails(database, settings)
    await rows_of(
        database,
        "UPDATE one_time_codes SET expires_at = expires_at - interval '24 h' RETURNING id",
    )

    assert_problem(await confirm(stranger, code_of(mail)), 422, "code_refused", "code")


@pytest.mark.parametrize("code", ["A" * 64, "-" * 64])
async def test_code_of_nobody_is_refused(stranger: httpx.AsyncClient, code: str) -> None:
    assert_problem(await confirm(stranger, code), 422, "code_refused", "code")


async def test_code_of_another_purpose_is_refused(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await someone(database)
    await stranger.post("/v1/password-resets", json={"email": "ann@example.com"})
    [mail] = await mails(database, settings)

    assert_problem(await confirm(stranger, code_of(mail)), 422, "code_refused", "code")


async def test_owner_of_an_account_is_told_that_somebody_wants_another(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await someone(database)

    asked = await stranger.post("/v1/registrations", json=ANN | {"password": OTHER_PASSWORD})

    [mail] = await mails(database, settings)
    assert asked.status_code == 202
    assert (mail.to, mail.subject) == ("ann@example.com", "You already have an account")
    assert (await log_in(stranger)).status_code == 201
    assert (await log_in(stranger, password=OTHER_PASSWORD)).status_code == 401


@pytest.mark.parametrize(
    "email",
    [
        "\u0430nn@example.com",  # Cyrillic
        "ann@ex\u0430mple.com",
        "\u0130nn@example.com",
        "ann@exam\u212aple.com",
        "ann@\uff45xample.com",
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com\n",
        "ann@example.com, eve@example.com",
        '"ann"@example.com',
        "<ann@example.com>",
        "ann@",
        "ann",
        "",
        "a" * 65 + "@example.com",
    ],
)
async def test_address_that_could_pass_for_another_or_hold_a_header_is_refused(
    stranger: httpx.AsyncClient, database: Database, email: str
) -> None:
    asked = await stranger.post("/v1/registrations", json=ANN | {"email": email})

    assert_problem(asked, 400, "invalid_request", "email")
    assert await rows_of(database, "SELECT count(*) FROM tasks") == [(0,)]


async def test_one_address_has_one_account_in_whatever_case(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    for email in ("ann@example.com", "ANN@EXAMPLE.COM"):
        await stranger.post("/v1/registrations", json=ANN | {"email": email})
    [one, other] = await mails(database, settings)

    assert (await confirm(stranger, code_of(one))).status_code == 201
    assert_problem(await confirm(stranger, code_of(other)), 422, "code_refused", "code")


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("too short", "15 characters or more"),
        ("x" * 14, "15 characters or more"),
        ("passwordpassword", "tried first"),
        ("ann@example.com", "nothing to do with you"),
        ("correct horse " * 30, "256 characters at most"),
    ],
)
async def test_password_that_may_not_be_chosen_says_why(
    stranger: httpx.AsyncClient, password: str, says: str
) -> None:
    asked = await stranger.post("/v1/registrations", json=ANN | {"password": password})

    assert_problem(asked, 422, "password_refused", "password")
    assert says in asked.json()["detail"]


async def test_who_looks_for_a_password_spends_no_registrations(
    database: Database, settings: Settings
) -> None:
    del database
    strict = msgspec.structs.replace(settings, rate_register=2)
    passwords = ["too short"] * 3 + [PASSWORD] * 3

    async with served(build(strict)) as stranger:
        asked = [
            await stranger.post("/v1/registrations", json=ANN | {"password": password})
            for password in passwords
        ]

    assert [answer.status_code for answer in asked] == [422, 422, 422, 202, 202, 429]


@pytest.mark.parametrize("field", ["role", "tier", "id", "email_verified_at", "token_version"])
async def test_nobody_gives_themselves_more_than_a_name(
    stranger: httpx.AsyncClient, field: str
) -> None:
    asked = await stranger.post("/v1/registrations", json=ANN | {field: "admin"})

    assert_problem(asked, 400, "invalid_request", field)


async def test_without_keys_accounts_are_closed(database: Database, settings: Settings) -> None:
    del database
    for missing in ("token_keys", "secret_keys"):
        async with served(build(msgspec.structs.replace(settings, **{missing: ""}))) as stranger:
            asked = await stranger.post("/v1/registrations", json=ANN)
            assert_problem(asked, 503, "accounts_closed")
            assert asked.headers["retry-after"]
