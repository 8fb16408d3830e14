"""Registering: an account begins once its address is confirmed, by whoever chose its password."""

from http import HTTPStatus

import msgspec
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.accepted import Accepted
from api.account_fields import Code, NewPassword, Password
from api.authentication import Asked
from api.fields import Email
from api.keyring import code_refused
from api.limits import Limits
from api.origin import origin
from api.proof import check_new, keyring_of
from db import account_notices, codes, security, users
from db.engine import name_commit, transaction
from db.users import UserView
from domain.account import LoginRefused, NewAccount, SecurityEvent, fold, words_of
from domain.account_mail import AccountNotice
from domain.code import Purpose
from domain.limit import Action
from domain.text import Text
from ops.telemetry.faultpoint import Commit


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who wants an account."""

    email: Email
    password: NewPassword
    name: Text | None = None


class Confirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code of the mail, and the password that was chosen."""

    code: Code
    password: Password


@post("", status_code=HTTPStatus.ACCEPTED)
async def register(
    request: Asked, limits: NamedDependency[Limits], data: JSONBody[Register]
) -> Accepted:
    """Ask for an account; what to do next is in a mail, for an address that has one already, too.

    The answer is the same in both cases, and takes as long.
    """
    keyring = keyring_of(request.app.state)
    check_new(data.password, words_of(data.email, data.name))
    await limits.take(Action.REGISTER, account=fold(data.email), request=request)
    hashed = await keyring.passwords.hash(data.password)
    payload = {"email": data.email, "name": data.name or "", "password_hash": hashed}
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.CODE)
        known = await users.find_login(tx, email_folded=fold(data.email))
        code_id = await codes.insert(tx, Purpose.REGISTER, payload=payload)
        if known is None:
            notice = AccountNotice.CONFIRM_ADDRESS
            await account_notices.tell(tx, notice, data.email, code_id=code_id)
        else:
            notice = AccountNotice.ALREADY_REGISTERED
            await account_notices.tell(tx, notice, known.email, user_id=known.user_id)
    return Accepted()


@post("/confirm", status_code=HTTPStatus.CREATED)
async def confirm(
    request: Asked, limits: NamedDependency[Limits], data: JSONBody[Confirm]
) -> UserView:
    """Confirm an address with the code of the mail and the password it was registered with.

    The password is wanted as well, so that nobody makes an account for the address of somebody
    else, who then confirms a password that is not theirs.
    """
    keyring = keyring_of(request.app.state)
    code_id, purpose = keyring.code_id(data.code, Purpose.REGISTER)
    async with transaction(request.app.state.database) as tx:
        found = await codes.find(tx, code_id, purpose)
    if found is None:
        raise code_refused()
    await limits.take(Action.LOGIN, account=data.code, request=request)
    hashed = found.payload["password_hash"]
    if not await keyring.passwords.verify(data.password, hashed):
        raise LoginRefused("It is not the one that was chosen.", field="password")
    account = NewAccount(found.payload["email"], found.payload["name"] or None, hashed)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.ACCOUNT)
        used = await codes.use(tx, code_id)
        user_id = await users.insert(tx, account) if used else None
        if user_id is None:
            raise code_refused()
        await codes.hand_over(tx, code_id, user_id)
        await security.append(tx, user_id, SecurityEvent.REGISTERED, origin(request))
        return await users.get(tx, user_id)


router = Router("/v1/registrations", route_handlers=[register, confirm], tags=["accounts"])
