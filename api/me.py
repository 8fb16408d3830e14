"""One's own account over HTTP: read, renamed, its password changed, exported, deleted."""

from http import HTTPStatus

import msgspec
from litestar import Response, Router, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from api import conditional
from api.account_fields import NewPassword
from api.authentication import Asked
from api.origin import origin
from api.proof import Proof, asker, check_new, keyring_of, password_of, spend_factor
from api.sessions import TokensView, open_session, tokens_view
from db import account_notices, codes, erasure, exports, security, sessions, users
from db.cache import PROFILE_S, Cache, Kind, Read
from db.engine import name_commit, reading, transaction
from db.exports import Export
from db.users import UserView
from domain.account import OrdersUnderWay, Proved, Revoked, SecurityEvent
from domain.account_mail import AccountNotice
from domain.refusal import NotFound
from domain.text import Text
from ops.telemetry.faultpoint import Commit

PROFILE = Kind("profile", UserView, PROFILE_S)


class Rename(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one wants to be called; null for nothing."""

    name: Text | None


class ChangePassword(Proof, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The password of now, and the one that takes its place."""

    new_password: NewPassword


@get("")
async def get_me(request: Asked) -> Response[UserView]:
    """Read one's own account."""
    user_id, _ = asker(request)
    cache: Cache = request.app.state.cache

    async def load() -> Read[UserView]:
        async with reading(request.app.state.database) as tx:
            return Read(await users.get(tx, user_id), frozenset({f"user:{user_id}"}))

    # By whose it is, which nobody but the credential says.
    found = await cache.get(PROFILE, str(user_id), load)
    if found is None:
        raise NotFound(f"There is no user {user_id}.")
    return conditional.show(request, found, version=found.version)


@patch("")
async def change_me(
    request: Asked, tx: NamedDependency[AsyncConnection], data: JSONBody[Rename]
) -> Response[UserView]:
    """Change what one is called; address and password have routes of their own."""
    name_commit(tx, Commit.USER)
    user_id, _ = asker(request)
    found = await users.get(tx, user_id, lock=True)
    conditional.check(request, version=found.version)
    await users.rename(tx, user_id, data.name)
    changed = await users.get(tx, user_id)
    return conditional.show(request, changed, version=changed.version)


@put("/password")
async def change_password(request: Asked, data: JSONBody[ChangePassword]) -> TokensView:
    """Change one's password; all sessions end, and the answer has the tokens of a new one."""
    login = await password_of(request, data.password)
    check_new(data.new_password, login.words, field="new_password")
    keyring = keyring_of(request.app.state)
    hashed = await keyring.passwords.hash(data.new_password)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.PASSWORD)
        mfa = await spend_factor(tx, request, login, data)
        await users.set_password(tx, login.user_id, hashed)
        await codes.withdraw(tx, login.user_id)
        await sessions.revoke(tx, login.user_id, Revoked.PASSWORD)
        await security.append(tx, login.user_id, SecurityEvent.PASSWORD_CHANGED, origin(request))
        notice = AccountNotice.PASSWORD_CHANGED
        await account_notices.tell(tx, notice, login.email, user_id=login.user_id)
        # Nobody else changed it meanwhile, or this version is not the next one.
        proved = Proved(login.user_id, login.token_version + 1, mfa)
        granted = await open_session(tx, request, proved)
    return tokens_view(keyring, granted)


@get("/export")
async def export_me(request: Asked, tx: NamedDependency[AsyncConnection]) -> Response[Export]:
    """Download all that is known of one, in a form that machines read (GDPR, article 20)."""
    user_id, _ = asker(request)
    found = await exports.get(tx, user_id)
    name = f'attachment; filename="orderflow-{user_id}.json"'
    return Response(found, headers={"Content-Disposition": name})


@post("/delete", status_code=HTTPStatus.NO_CONTENT)
async def delete_me(request: Asked, data: JSONBody[Proof]) -> None:
    """Delete one's account: what is known of one is erased, orders stay under a pseudonym.

    409 while orders are under way, which need to know whose they are.
    """
    login = await password_of(request, data.password)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.ERASE)
        await spend_factor(tx, request, login, data)
        await users.get(tx, login.user_id, lock=True)
        if await erasure.has_orders_under_way(tx, login.user_id):
            raise OrdersUnderWay("Cancel them, or wait until they are delivered, then delete.")
        await erasure.erase(tx, login.user_id)
        # It is of nobody any more, so that nothing leads from it back to the orders.
        await account_notices.tell(tx, AccountNotice.ACCOUNT_DELETED, login.email)


router = Router(
    "/v1/users/me",
    route_handlers=[get_me, change_me, change_password, export_me, delete_me],
    tags=["accounts"],
)
