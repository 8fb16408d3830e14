"""Another address for an account: wanted from the old one, and owned at the new one."""

from http import HTTPStatus

import msgspec
from litestar import Router, post
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from api.accepted import Accepted
from api.account_fields import Code
from api.authentication import Asked
from api.fields import Email
from api.keyring import code_refused
from api.origin import origin
from api.problems import InvalidRequest
from api.proof import Proof, keyring_of, password_of, spend_factor
from db import account_notices, codes, security, sessions, users
from db.engine import name_commit, transaction
from domain.account import Login, Revoked, SecurityEvent, fold
from domain.account_mail import AccountNotice
from domain.code import Purpose
from ops.telemetry.faultpoint import Commit


class ChangeEmail(Proof, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The address that is to take the place of the one of now."""

    email: Email


class ConfirmEmail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code of one of the two mails."""

    code: Code


class Change(msgspec.Struct, frozen=True):
    """How far a change of address is: confirmed from one side, or from both and done."""

    changed: bool


@post("/me/email", status_code=HTTPStatus.ACCEPTED)
async def change_email(request: Asked, data: JSONBody[ChangeEmail]) -> Accepted:
    """Ask for another address; a code comes to the old one and to the new one, both are needed.

    If the new one has an account already, its owner is told so in place of a code.
    """
    login = await password_of(request, data.password)
    if fold(data.email) == fold(login.email):
        raise InvalidRequest("It is the address of now: send another.", field="email")
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.CODE)
        await spend_factor(tx, request, login, data)
        await _ask_both(tx, login, data.email)
    return Accepted()


async def _ask_both(tx: AsyncConnection, login: Login, email: str) -> None:
    user_id = login.user_id
    await codes.withdraw(tx, user_id)
    payload = {"was": login.email, "email": email}
    old = await codes.insert(tx, Purpose.CHANGE_EMAIL_OLD, user_id=user_id, payload=payload)
    new = await codes.insert(tx, Purpose.CHANGE_EMAIL_NEW, user_id=user_id, payload=payload)
    await codes.pair(tx, old, new)
    notice = AccountNotice.CONFIRM_OLD_ADDRESS
    await account_notices.tell(tx, notice, login.email, user_id=user_id, code_id=old)
    if await users.find_login(tx, email_folded=fold(email)) is None:
        notice = AccountNotice.CONFIRM_NEW_ADDRESS
        await account_notices.tell(tx, notice, email, user_id=user_id, code_id=new)
    else:
        await account_notices.tell(tx, AccountNotice.ALREADY_REGISTERED, email)


@post("/email/confirm", status_code=HTTPStatus.OK)
async def confirm_email(request: Asked, data: JSONBody[ConfirmEmail]) -> Change:
    """Confirm a change of address from one side; with the second one it is done.

    All sessions end then. Who confirms need not be logged in, as mail is read anywhere.
    """
    keyring = keyring_of(request.app.state)
    purposes = (Purpose.CHANGE_EMAIL_OLD, Purpose.CHANGE_EMAIL_NEW)
    code_id, purpose = keyring.code_id(data.code, *purposes)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.EMAIL)
        found = await codes.find(tx, code_id, purpose)
        if found is None or found.user_id is None:
            raise code_refused()
        await users.get(tx, found.user_id, lock=True)
        if not await codes.use(tx, code_id):
            raise code_refused()
        if not await codes.is_partner_used(tx, code_id):
            return Change(changed=False)
        was, email = found.payload["was"], found.payload["email"]
        if not await users.set_email(tx, found.user_id, was=was, email=email):
            raise code_refused()
        await codes.withdraw(tx, found.user_id)
        await sessions.revoke(tx, found.user_id, Revoked.EMAIL)
        await security.append(tx, found.user_id, SecurityEvent.EMAIL_CHANGED, origin(request))
        for recipient in (was, email):
            notice = AccountNotice.EMAIL_CHANGED
            await account_notices.tell(tx, notice, recipient, user_id=found.user_id)
    return Change(changed=True)


router = Router("/v1/users", route_handlers=[change_email, confirm_email], tags=["accounts"])
