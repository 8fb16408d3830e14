"""The first admin: written once, with a key that opens what staff does."""

import os
import subprocess
import sys

import pytest
from litestar import Litestar

from api import credentials
from db.engine import Database
from domain.principal import Role
from ops.admin import CannotCreate, create_admin, main
from tests.conftest import ROOT
from tests.people import logged_in, rows_of, someone
from tests.web import NOBODY, bearer, served

EMAIL, PASSWORD = "root@example.com", "correct horse battery staple"


async def test_key_of_the_first_admin_opens_what_staff_does(
    app: Litestar, database: Database
) -> None:
    key = credentials.mint()

    await create_admin(database, EMAIL, "", key)

    async with served(app, NOBODY) as client:
        assert (await client.get("/v1/orders")).status_code == 401
        assert (await client.get("/v1/orders", headers=bearer(key))).status_code == 200


async def test_the_same_again_changes_nothing_and_another_key_is_one_more(
    database: Database,
) -> None:
    first, second = credentials.mint(), credentials.mint()

    for key in (first, first, second):
        await create_admin(database, EMAIL, "", key)

    query = "SELECT prefix FROM api_keys JOIN users u ON u.id = user_id WHERE u.email = :email"
    found = {prefix for (prefix,) in await rows_of(database, query, email=EMAIL)}
    assert found == {credentials.shown(first), credentials.shown(second)}


async def test_admin_with_a_password_logs_in(app: Litestar, database: Database) -> None:
    await create_admin(database, EMAIL, PASSWORD, credentials.mint())

    async with served(app, NOBODY) as client:
        admin = await logged_in(client, EMAIL)
        assert (await client.get("/v1/audit", headers=admin.headers)).status_code == 200


async def test_nobody_becomes_an_admin_by_it(database: Database) -> None:
    await someone(database, EMAIL, Role.CUSTOMER)

    with pytest.raises(CannotCreate, match="somebody who is no admin"):
        await create_admin(database, EMAIL, "", credentials.mint())

    assert await rows_of(database, "SELECT role FROM users WHERE email = :e", e=EMAIL) == [
        ("customer",)
    ]


async def test_weak_password_is_refused(database: Database) -> None:
    with pytest.raises(CannotCreate, match="ADMIN_PASSWORD: Too short"):
        await create_admin(database, EMAIL, "short", credentials.mint())


@pytest.mark.parametrize("arguments", [[], ["create"], ["create-admin", "x"]])
def test_another_command_is_told_how_it_is_used(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_key_with_a_typing_error_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create-admin"], {"ADMIN_KEY": "of_live_x", "ADMIN_EMAIL": EMAIL}) == 2
    assert "of_live_x" not in capsys.readouterr().err


def test_without_anybody_to_ask_it_says_what_to_set() -> None:
    command = [sys.executable, "-m", "ops.admin", "create-admin"]
    environ = {name: value for name, value in os.environ.items() if name != "ADMIN_EMAIL"}

    asked = subprocess.run(  # noqa: S603 - it is ours
        command, cwd=ROOT, env=environ, input="", capture_output=True, text=True, check=False
    )

    assert (asked.returncode, asked.stdout) == (2, "E-mail: ")
    assert "set ADMIN_EMAIL" in asked.stderr
    assert "Traceback" not in asked.stderr
