"""The first admin of a deployment: `python -m ops.admin create-admin`, once the tables are there.

It asks for what the environment does not say: ADMIN_EMAIL, and ADMIN_PASSWORD, which may be empty
for an account without a login. It prints an API key with every scope, once. With ADMIN_KEY, a key
that was made elsewhere, it writes that one and prints nothing; again is the same.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from getpass import getpass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api import credentials
from api.passwords import Passwords, commonest
from db import api_keys, standings, users
from db.api_keys import NewKey
from db.engine import Database, connect, transaction
from db.ids import new_id
from db.standings import Credential
from domain import password as rules
from domain.account import NewAccount, fold, words_of
from domain.principal import Role, Scope, Tier
from domain.refusal import Refusal
from ops.config import settings

COMMAND = "create-admin"


class CannotCreate(Exception):
    """There is a reason in the way that a person has to remove."""


async def create_admin(database: Database, email: str, password: str, key: str) -> None:
    """Write an account of an admin, unless it is there, and an API key of its own.

    A password that the account has stays. Raises CannotCreate if the address is that of somebody
    else, or the password is refused.
    """
    async with transaction(database) as tx:
        credential = Credential(key_hash=credentials.digest(key))
        [known] = await standings.find_many(tx, [credential], lately_s=0)
        login = await users.find_login(tx, email_folded=fold(email))
    kept = ""
    if password and (login is None or login.password_hash is None):
        kept = await _hashed(email, password)
    async with transaction(database) as tx:
        owner = await _owner(tx, email, kept)
        if known is None:
            await api_keys.insert_one(tx, _key(owner, key))


async def _owner(tx: AsyncConnection, email: str, kept: str) -> UUID:
    """Write the account unless it is there; one that has no password yet gets this one."""
    owner = await users.insert(tx, NewAccount(email, None, kept or None, Role.ADMIN.value))
    if owner is not None:
        return owner
    login = await users.find_login(tx, email_folded=fold(email))
    if login is None or (await users.get(tx, login.user_id)).role != Role.ADMIN:
        raise CannotCreate(f"{email} is the address of somebody who is no admin.")
    if kept:
        await users.set_password(tx, login.user_id, kept)
    return login.user_id


def _key(owner: UUID, key: str) -> NewKey:
    return NewKey(
        id=new_id(),
        user_id=owner,
        name="Made by ops.admin",
        prefix=credentials.shown(key),
        hash=credentials.digest(key),
        scopes=[scope.value for scope in Scope],
        tier=Tier.MACHINE.value,
    )


async def _hashed(email: str, password: str) -> str:
    try:
        rules.check(password, common=commonest(), words=words_of(email, None))
    except Refusal as refusal:
        raise CannotCreate(f"ADMIN_PASSWORD: {refusal.detail}") from refusal
    passwords = Passwords(1)
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()


async def _run(email: str, password: str, key: str) -> None:
    database = connect(settings(), name="orderflow admin", ring=lambda _: None)
    try:
        await create_admin(database, email, password, key)
    finally:
        await database.engine.dispose()


def main(arguments: list[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run the command; its exit code."""
    if arguments != [COMMAND]:
        sys.stderr.write(f"usage: python -m ops.admin {COMMAND}\n")
        return 2
    given = environ.get("ADMIN_KEY", "")
    if given and not credentials.is_well_formed(given):
        sys.stderr.write("ADMIN_KEY is none of our API keys: leave it out to have one made.\n")
        return 2
    key = given or credentials.mint()
    asks = "ADMIN_EMAIL" not in environ
    try:
        email = environ.get("ADMIN_EMAIL") or input("E-mail: ").strip()
        password = (
            getpass("Password (empty: no login): ") if asks else environ.get("ADMIN_PASSWORD", "")
        )
    except EOFError:
        sys.stderr.write("There is nobody to ask: set ADMIN_EMAIL, and ADMIN_PASSWORD.\n")
        return 2
    try:
        asyncio.run(_run(email, password, key))
    except (CannotCreate, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except Refusal as refusal:
        sys.stderr.write(f"{refusal.detail}\n")
        return 1
    if not given:
        sys.stdout.write(f"{key}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
