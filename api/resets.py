"""Passwords that were forgotten: a code by mail, and a new password for it."""

from http import HTTPStatus

import msgspec
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.accepted import Accepted
from api.account_fields import Code, NewPassword
from api.authentication import Asked
from api.fields import Email
from api.keyring import code_refused
from api.limits import Limits
from api.origin import origin
from api.proof import check_new, keyring_of
from db import account_notices, codes, security, sessions, users
from db.engine import name_commit, transaction
from domain.account import Revoked, SecurityEvent, fold
from domain.account_mail import AccountNotice
from domain.code import Purpose
from domain.limit import Action
from ops.telemetry.faultpoint import Commit


class Forgot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose password is to be reset."""

    email: Email


class Reset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code of the mail, and the new password."""

    code: Code
    password: NewPassword


@post("", status_code=HTTPStatus.ACCEPTED)
async def forget_password(
    request: Asked, limits: NamedDependency[Limits], data: JSONBody[Forgot]
) -> Accepted:
    """Ask for a code to reset a password; it comes by mail.

    An address without an account gets a mail that says so. The answer is the same, and what is
    written is as much, so that it takes as long.
    """
    keyring_of(request.app.state)
    await limits.take(Action.RESET, account=fold(data.email), request=request)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.CODE)
        known = await users.find_login(tx, email_folded=fold(data.email))
        user_id = None if known is None or known.disabled else known.user_id
        code_id = await codes.insert(tx, Purpose.RESET, user_id=user_id)
        if known is None or user_id is None:
            await account_notices.tell(tx, AccountNotice.RESET_UNKNOWN, data.email)
        else:
            notice = AccountNotice.RESET_PASSWORD
            await account_notices.tell(tx, notice, known.email, user_id=user_id, code_id=code_id)
    return Accepted()


@post("/confirm", status_code=HTTPStatus.NO_CONTENT)
async def reset_password(request: Asked, data: JSONBody[Reset]) -> None:
    """Set a new password with the code of the mail; all sessions end.

    A second factor stays as it is: logging in takes it as before.
    """
    keyring = keyring_of(request.app.state)
    code_id, purpose = keyring.code_id(data.code, Purpose.RESET)
    async with transaction(request.app.state.database) as tx:
        found = await codes.find(tx, code_id, purpose)
        if found is None or found.user_id is None:
            raise code_refused()
        login = await users.get_login(tx, found.user_id)
    check_new(data.password, login.words)
    hashed = await keyring.passwords.hash(data.password)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.PASSWORD)
        if login.disabled or not await codes.use(tx, code_id):
            raise code_refused()
        await users.set_password(tx, login.user_id, hashed)
        await codes.withdraw(tx, login.user_id)
        await sessions.revoke(tx, login.user_id, Revoked.PASSWORD)
        await security.append(tx, login.user_id, SecurityEvent.PASSWORD_RESET, origin(request))
        notice = AccountNotice.PASSWORD_CHANGED
        await account_notices.tell(tx, notice, login.email, user_id=login.user_id)


router = Router(
    "/v1/password-resets", route_handlers=[forget_password, reset_password], tags=["accounts"]
)
