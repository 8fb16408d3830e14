"""Resetting a password: by the owner of the address, once, and soon."""

import asyncio

import httpx
import pytest

from db.engine import Database
from ops.config import Settings
from tests.people import (
    OTHER_PASSWORD,
    PASSWORD,
    code_of,
    log_in,
    logged_in,
    mails,
    otp,
    rows_of,
    someone,
    with_factor,
)
from tests.web import assert_problem


async def forget(stranger: httpx.AsyncClient, email: str = "ann@example.com") -> httpx.Response:
    return await stranger.post("/v1/password-resets", json={"email": email})


async def reset(
    stranger: httpx.AsyncClient, code: str, password: str = OTHER_PASSWORD
) -> httpx.Response:
    body = {"code": code, "password": password}
    return await stranger.post("/v1/password-resets/confirm", json=body)


@pytest.fixture
async def code(stranger: httpx.AsyncClient, database: Database, settings: Settings) -> str:
    """The code of a mail to somebody who forgot their password."""
    await someone(database)
    await forget(stranger, "ANN@example.com")
    [mail] = await mails(database, settings)
    assert (mail.to, mail.subject) == ("ann@example.com", "Reset your password")
    return code_of(mail)


async def test_code_of_the_mail_sets_a_new_password_and_the_owner_is_told(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, code: str
) -> None:
    assert (await reset(stranger, code)).status_code == 204

    assert (await log_in(stranger, password=OTHER_PASSWORD)).status_code == 201
    assert (await log_in(stranger)).status_code == 401
    assert [m.subject for m in await mails(database, settings)] == ["Your password was changed"]


async def test_code_is_good_once_even_for_many_at_a_time(
    stranger: httpx.AsyncClient, code: str
) -> None:
    answers = await asyncio.gather(*(reset(stranger, code) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [204, 422, 422, 422, 422]
    assert_problem(await reset(stranger, code), 422, "code_refused", "code")


async def test_using_one_code_makes_the_others_useless(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, code: str
) -> None:
    await forget(stranger)
    [mail] = await mails(database, settings)

    assert (await reset(stranger, code_of(mail))).status_code == 204

    assert_problem(await reset(stranger, code, PASSWORD + " again"), 422, "code_refused", "code")


async def test_changing_the_password_makes_codes_useless(
    stranger: httpx.AsyncClient, code: str
) -> None:
    who = await logged_in(stranger)
    body = {"password": PASSWORD, "new_password": OTHER_PASSWORD}
    await stranger.put("/v1/users/me/password", json=body, headers=who.headers)

    assert_problem(await reset(stranger, code), 422, "code_refused", "code")


async def test_code_is_good_for_half_an_hour(
    stranger: httpx.AsyncClient, database: Database, code: str
) -> None:
    await rows_of(
        database,
        "UPDATE one_time_codes SET expires_at = expires_at - interval '30 min' RETURNING id",
    )

    assert_problem(await reset(stranger, code), 422, "code_refused", "code")


async def test_password_that_may_not_be_chosen_leaves_the_code_good(
    stranger: httpx.AsyncClient, code: str
) -> None:
    for bad in ("short", "ann@example.com", "passwordpassword"):
        assert_problem(await reset(stranger, code, bad), 422, "password_refused", "password")

    assert (await reset(stranger, code)).status_code == 204


async def test_disabled_account_is_not_opened_by_a_code(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, code: str
) -> None:
    await rows_of(database, "UPDATE users SET disabled_at = now() RETURNING id")

    assert_problem(await reset(stranger, code), 422, "code_refused", "code")
    await forget(stranger)
    [mail] = await mails(database, settings)
    assert mail.subject == "There is no account of this address"


async def test_address_without_an_account_is_told_so_by_mail(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    assert (await forget(stranger, "eve@example.com")).status_code == 202

    [mail] = await mails(database, settings)
    assert (mail.to, mail.subject) == ("eve@example.com", "There is no account of this address")


async def test_reset_does_not_get_around_the_second_factor(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await someone(database)
    secret, _, _ = await with_factor(stranger, await logged_in(stranger), database)
    await forget(stranger)
    code = next(code_of(m) for m in await mails(database, settings) if "Reset" in m.subject)

    await reset(stranger, code)

    refused = await log_in(stranger, password=OTHER_PASSWORD)
    assert_problem(refused, 401, "second_factor_required", "otp")
    let_in = await log_in(stranger, password=OTHER_PASSWORD, otp=otp(secret))
    assert let_in.status_code == 201


async def test_mail_whose_code_was_used_or_is_too_old_is_not_sent(
    stranger: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await someone(database)
    await forget(stranger)
    await rows_of(database, "UPDATE one_time_codes SET used_at = now() RETURNING id")

    assert await mails(database, settings) == []
