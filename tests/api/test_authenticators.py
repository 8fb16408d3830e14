"""The second factor: each one-time password once, recovery codes once, and no way around."""

import asyncio

import httpx
import msgspec
import pyotp
import pytest
from pyotp.totp import TOTP

from api.application import build
from api.factors import step_of
from db.engine import Database
from domain.principal import Role
from ops.config import Settings
from tests.people import (
    PASSWORD,
    WRONG,
    Tokens,
    forget_steps,
    is_let_in,
    log_in,
    logged_in,
    mails,
    otp,
    rows_of,
    someone,
    tokens,
    with_factor,
)
from tests.web import NOBODY, assert_problem, served

PATH = "/v1/users/me/totp"


@pytest.fixture
async def ann(stranger: httpx.AsyncClient, database: Database) -> Tokens:
    await someone(database)
    return await logged_in(stranger)


async def test_enrolled_factor_is_wanted_at_the_next_login(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens
) -> None:
    elsewhere = await logged_in(stranger)
    secret, recovery_codes, following = await with_factor(stranger, ann, database)

    assert len(set(recovery_codes)) == 10
    assert [await is_let_in(stranger, who) for who in (ann, elsewhere)] == [False, False]
    assert await is_let_in(stranger, following)
    assert_problem(await log_in(stranger), 401, "second_factor_required", "otp")
    assert await is_let_in(stranger, await logged_in(stranger, otp=otp(secret)))
    me = await stranger.get("/v1/users/me", headers=following.headers)
    assert me.json()["mfa_enabled"] is True
    assert [m.subject for m in await mails(database, settings)] == ["Your second factor is on"]


async def test_factor_that_is_not_confirmed_is_not_wanted(
    stranger: httpx.AsyncClient, ann: Tokens
) -> None:
    await stranger.post(PATH, json={"password": PASSWORD}, headers=ann.headers)

    assert (await log_in(stranger)).status_code == 201
    assert await is_let_in(stranger, ann)


async def test_secret_is_readable_by_authenticators_and_not_in_the_database(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    shown = await stranger.post(PATH, json={"password": PASSWORD}, headers=ann.headers)

    enrolled = shown.json()
    read = pyotp.parse_uri(enrolled["uri"])
    assert isinstance(read, TOTP)
    assert (read.secret, read.name, read.issuer) == (
        enrolled["secret"],
        "ann@example.com",
        "Orderflow",
    )
    [(kept,)] = await rows_of(database, "SELECT mfa_secret FROM users WHERE mfa_secret IS NOT NULL")
    assert enrolled["secret"].encode() not in bytes(kept)


async def test_one_time_password_is_good_once_even_for_many_at_a_time(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    secret, _, _ = await with_factor(stranger, ann, database)
    shown = otp(secret)

    answers = await asyncio.gather(*(log_in(stranger, otp=shown) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 401, 401, 401]
    assert_problem(await log_in(stranger, otp=shown), 401, "login_refused", "otp")


async def test_older_one_time_password_is_useless_after_a_newer_one(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    secret, _, _ = await with_factor(stranger, ann, database)
    assert (await log_in(stranger, otp=otp(secret))).status_code == 201

    assert_problem(
        await log_in(stranger, otp=otp(secret, apart_s=-30)), 401, "login_refused", "otp"
    )


def test_one_time_password_counts_for_a_step_to_either_side() -> None:
    secret = pyotp.random_base32()
    now_s = 1_800_000_015
    read = [step_of(secret, TOTP(secret).at(now_s + s), now_s=now_s) for s in (-30, 0, 30)]

    assert read == [59_999_999, 60_000_000, 60_000_001]
    for apart_s in (-90, -60, 60, 90):
        assert step_of(secret, TOTP(secret).at(now_s + apart_s), now_s=now_s) is None


async def test_wrong_password_does_not_tell_whether_there_is_a_factor(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    secret, _, _ = await with_factor(stranger, ann, database)

    wrong = await log_in(stranger, password=WRONG, otp=otp(secret))
    unknown = await log_in(stranger, "eve@example.com", otp=otp(secret))

    assert wrong.content == unknown.content


async def test_recovery_code_stands_in_once_in_whatever_case(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    _, recovery_codes, _ = await with_factor(stranger, ann, database)
    given = recovery_codes[3].lower().replace("-", "")

    assert (await log_in(stranger, recovery_code=given)).status_code == 201

    again = await log_in(stranger, recovery_code=recovery_codes[3])
    assert_problem(again, 401, "login_refused", "recovery_code")
    assert (await log_in(stranger, recovery_code=recovery_codes[4])).status_code == 201
    stored = str(await rows_of(database, "SELECT hash FROM recovery_codes"))
    assert recovery_codes[5] not in stored


async def test_new_recovery_codes_take_the_place_of_the_old(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    secret, old, who = await with_factor(stranger, ann, database)
    body = {"password": PASSWORD, "otp": otp(secret)}

    renewed = await stranger.post(f"{PATH}/recovery-codes", json=body, headers=who.headers)

    [new, *_] = renewed.json()["recovery_codes"]
    assert (await log_in(stranger, recovery_code=old[0])).status_code == 401
    assert (await log_in(stranger, recovery_code=new)).status_code == 201


async def test_factor_is_taken_away_with_itself_only(
    stranger: httpx.AsyncClient, database: Database, settings: Settings, ann: Tokens
) -> None:
    secret, _, who = await with_factor(stranger, ann, database)

    for body in ({"password": PASSWORD}, {"password": PASSWORD, "otp": "000000"}):
        refused = await stranger.post(f"{PATH}/disable", json=body, headers=who.headers)
        assert refused.status_code == 401
    body = {"password": PASSWORD, "otp": otp(secret)}
    off = await stranger.post(f"{PATH}/disable", json=body, headers=who.headers)

    assert await is_let_in(stranger, tokens(off))
    assert (await log_in(stranger)).status_code == 201
    assert await rows_of(database, "SELECT count(*) FROM recovery_codes") == [(0,)]
    assert (await mails(database, settings))[-1].subject == "Your second factor is off"


async def test_factor_in_place_is_not_replaced(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    _, _, who = await with_factor(stranger, ann, database)

    again = await stranger.post(PATH, json={"password": PASSWORD}, headers=who.headers)

    assert_problem(again, 409, "conflict")


async def test_weighty_changes_want_the_factor_too(
    stranger: httpx.AsyncClient, database: Database, ann: Tokens
) -> None:
    secret, _, who = await with_factor(stranger, ann, database)
    asks = [
        ("PUT", "/v1/users/me/password", {"new_password": "another set of four words"}),
        ("POST", "/v1/users/me/email", {"email": "ann@elsewhere.example"}),
        ("POST", "/v1/users/me/delete", {}),
    ]

    for method, path, body in asks:
        given = {"password": PASSWORD, **body}
        refused = await stranger.request(method, path, json=given, headers=who.headers)
        assert_problem(refused, 401, "second_factor_required", "otp")
    await forget_steps(database)
    given = {"password": PASSWORD, "otp": otp(secret), **asks[0][2]}
    changed = await stranger.put(asks[0][1], json=given, headers=who.headers)
    assert await is_let_in(stranger, tokens(changed))


@pytest.mark.parametrize("given", ["", "12345", "1234567", "12345a", "\uff11" * 6, "123456\n"])
async def test_what_is_no_one_time_password_is_a_bad_request(
    stranger: httpx.AsyncClient, given: str
) -> None:
    assert_problem(await log_in(stranger, otp=given), 400, "invalid_request", "otp")


@pytest.mark.parametrize("role", [Role.OPS, Role.ADMIN])
async def test_where_it_is_required_staff_do_nothing_without_a_second_factor(
    settings: Settings, database: Database, role: Role
) -> None:
    await someone(database, role=role)
    path = "/v1/findings" if role is Role.OPS else "/v1/users"
    strict = build(msgspec.structs.replace(settings, require_mfa=True))
    async with served(strict, NOBODY) as stranger:
        bare = await logged_in(stranger)

        before = await stranger.get(path, headers=bare.headers)
        _, _, enrolled = await with_factor(stranger, bare, database)
        after = await stranger.get(path, headers=enrolled.headers)

    assert_problem(before, 403, "forbidden")
    assert "second factor" in before.json()["detail"]
    assert after.status_code == 200


async def test_where_it_is_not_required_staff_do_without(
    stranger: httpx.AsyncClient, database: Database
) -> None:
    await someone(database, role=Role.ADMIN)

    who = await logged_in(stranger)

    assert (await stranger.get("/v1/users", headers=who.headers)).status_code == 200


async def test_guesses_at_a_secret_that_is_to_be_confirmed_end(
    database: Database, settings: Settings
) -> None:
    await someone(database)
    strict = msgspec.structs.replace(settings, rate_login=3)

    async with served(build(strict), NOBODY) as client:
        who = await logged_in(client)
        await client.post(PATH, json={"password": PASSWORD}, headers=who.headers)
        guesses = [
            await client.post(f"{PATH}/confirm", json={"otp": "000000"}, headers=who.headers)
            for _ in range(4)
        ]

    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429]
