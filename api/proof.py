"""Showing that one is who one says: password, and a second factor where the account has one."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from litestar.datastructures import State
from sqlalchemy.ext.asyncio import AsyncConnection

from api import factors
from api.account_fields import OneTimePassword, Password, RecoveryCode
from api.authentication import Asked
from api.keyring import Keyring
from api.limits import Limits
from api.origin import origin
from api.passwords import commonest
from api.problems import Unauthenticated
from db import users
from db.engine import transaction
from domain import password as rules
from domain.account import Login, LoginRefused, fold
from domain.limit import Action

# Whatever is wrong, and whoever is not there: the same bytes.
REFUSED = "The password is wrong, or there is no such account, or it may not log in."


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody who is logged in shows again before something weighty is done."""

    password: Password
    otp: OneTimePassword | None = None
    recovery_code: RecoveryCode | None = None


def keyring_of(state: State) -> Keyring:
    """Give the keys; raises AccountsClosed if there are none."""
    keyring: Keyring = state.keyring
    return keyring.require()


def asker(request: Asked) -> tuple[UUID, UUID]:
    """Give account and session of a person who asks; raises Unauthenticated for anybody else."""
    if request.user.user_id is None or request.user.session_id is None:
        raise Unauthenticated("Log in: this is for people and their access tokens.")
    return request.user.user_id, request.user.session_id


async def password_of(request: Asked, password: str) -> Login:
    """Verify the password of who asks, outside of any transaction; raises LoginRefused."""
    user_id, _ = asker(request)
    async with transaction(request.app.state.database) as tx:
        login = await users.get_login(tx, user_id)
    limits: Limits = request.app.state.limits
    await limits.take(Action.LOGIN, account=fold(login.email), request=request)
    right = await keyring_of(request.app.state).passwords.verify(password, login.password_hash)
    if not right:
        raise LoginRefused("It is not the password of the account.", field="password")
    return login


async def spend_factor(tx: AsyncConnection, request: Asked, login: Login, proof: Proof) -> bool:
    """Use up the second factor of who asks; whether there is one."""
    keyring = keyring_of(request.app.state)
    given = (proof.otp, proof.recovery_code)
    return await factors.spend(tx, keyring, login, given, origin(request))


def check_new(password: str, words: Sequence[str], *, field: str = "password") -> None:
    """Raise PasswordRefused unless a password may be chosen."""
    rules.check(password, common=commonest(), words=words, field=field)
