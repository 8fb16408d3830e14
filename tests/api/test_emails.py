"""Changing the address of an account: both sides must say yes."""

import httpx
import pytest

from db.engine import Database
from domain.mail import Mail
from ops.config import Settings
from tests.people import (
    PASSWORD,
    WRONG,
    Tokens,
    code_of,
    is_let_in,
    log_in,
    logged_in,
    mails,
    rows_of,
    someone,
)
from tests.web import assert_problem

NEW = "ann@elsewhere.example"


async def ask(
    stranger: httpx.AsyncClient, who: Tokens, email: str = NEW, **more: str
) -> httpx.Response:
    body = {"email": email, "password": PASSWORD, **more}
    return await stranger.post("/v1/users/me/email", json=body, headers=who.headers)


async def confirm(stranger: httpx.AsyncClient, mail: Mail) -> httpx.Response:
    return await stranger.post("/v1/users/email/confirm", json={"code": code_of(mail)})


@pytest.fixture
async def ann(stranger: httpx.AsyncClient, database: Database) -> Tokens:
    await someone(database)
    return await logged_in(stranger)


async def asked(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, who: Tokens
) -> tuple[Mail, Mail]:
    """Ask for another address; the mails to the old and to the new one."""
    assert (await ask(stranger, who)).status_code == 202
    sent = {mail.to: mail for mail in await mails(database, settings)}
    return sent["ann@example.com"], sent[NEW]


@pytest.mark.parametrize("first", [0, 1])
async def test_address_changes_once_both_sides_have_confirmed(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens, first: int
) -> None:
    sent = await asked(stranger, database, settings, ann)

    one = await confirm(stranger, sent[first])
    assert (one.status_code, one.json()) == (200, {"changed": False})
    assert (await log_in(stranger, NEW)).status_code == 401
    other = await confirm(stranger, sent[1 - first])

    assert (other.status_code, other.json()) == (200, {"changed": True})
    assert not await is_let_in(stranger, ann)
    assert (await log_in(stranger)).status_code == 401
    assert await is_let_in(stranger, await logged_in(stranger, NEW))
    told = {(mail.to, mail.subject) for mail in await mails(database, settings)}
    assert told == {(to, "Your address was changed") for to in ("ann@example.com", NEW)}


@pytest.mark.parametrize("side", [0, 1])
async def test_one_side_alone_changes_nothing_however_often(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens, side: int
) -> None:
    sent = await asked(stranger, database, settings, ann)

    assert (await confirm(stranger, sent[side])).json() == {"changed": False}
    assert_problem(await confirm(stranger, sent[side]), 422, "code_refused", "code")

    assert await rows_of(database, "SELECT email FROM users WHERE email LIKE '%@example.com'") == [
        ("ann@example.com",)
    ]


async def test_sides_of_two_changes_do_not_make_one(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens
) -> None:
    old, _ = await asked(stranger, database, settings, ann)
    await confirm(stranger, old)
    _, new = await asked(stranger, database, settings, ann)

    assert (await confirm(stranger, new)).json() == {"changed": False}


async def test_withdrawn_codes_are_of_no_use(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens
) -> None:
    sent = await asked(stranger, database, settings, ann)
    await asked(stranger, database, settings, ann)

    for mail in sent:
        assert_problem(await confirm(stranger, mail), 422, "code_refused", "code")


async def test_address_of_somebody_else_is_not_betrayed_and_not_taken(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens
) -> None:
    free = await ask(stranger, ann)
    await someone(database, NEW)
    taken = await ask(stranger, ann)

    assert (free.status_code, free.content) == (taken.status_code, taken.content)
    sent = [mail for mail in await mails(database, settings) if mail.to == NEW]
    assert [mail.subject for mail in sent] == ["You already have an account"]


async def test_address_that_is_taken_meanwhile_is_not_taken_again(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens
) -> None:
    old, new = await asked(stranger, database, settings, ann)
    await someone(database, NEW.upper())
    await confirm(stranger, old)

    assert_problem(await confirm(stranger, new), 422, "code_refused", "code")
    assert await is_let_in(stranger, ann)


async def test_asking_takes_the_password(stranger: httpx.AsyncClient, ann: Tokens) -> None:
    wrong = await ask(stranger, ann, password=WRONG)

    assert_problem(wrong, 401, "login_refused", "password")


async def test_same_address_in_another_case_is_no_change(
    stranger: httpx.AsyncClient, ann: Tokens
) -> None:
    assert_problem(await ask(stranger, ann, "ANN@example.com"), 400, "invalid_request", "email")
