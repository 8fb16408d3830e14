"""Sessions over HTTP: log in, go on with a fresh token, log out here or everywhere."""

import logging
from collections.abc import Collection
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api import factors, pages
from api.account_fields import OneTimePassword, Password, RecoveryCode, RefreshToken
from api.authentication import Asked
from api.carts import CartToken, bring
from api.fields import Email
from api.keyring import Keyring
from api.limits import Limits
from api.origin import origin
from api.problems import Forbidden, Unauthenticated
from api.proof import REFUSED, asker, keyring_of
from db import account_notices, security, sessions, users
from db.engine import name_commit, transaction
from db.sessions import Granted, Lifetimes, Refused, Reused, SessionView
from domain.account import Login, LoginRefused, Proved, Revoked, SecurityEvent, fold
from domain.account_mail import AccountNotice
from domain.limit import Action
from domain.principal import Role, acting
from domain.refusal import NotFound
from ops.config import Settings
from ops.telemetry.faultpoint import Commit

log = logging.getLogger(__name__)


class LogIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Address and password, and a second factor where the account has one."""

    email: Email
    password: Password
    otp: OneTimePassword | None = None
    recovery_code: RecoveryCode | None = None


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token that came with the last access token; it is good once."""

    refresh_token: RefreshToken


class TokensView(msgspec.Struct, frozen=True):
    """What to go on with: the access token with every request, the other one for the next two."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    session_id: UUID


class SessionPage(msgspec.Struct, frozen=True):
    """A part of the list, newest first; the Link header leads to the next one."""

    current: UUID
    sessions: list[SessionView]


def tokens_view(keyring: Keyring, granted: Granted) -> TokensView:
    """Show a session's tokens."""
    return TokensView(
        access_token=keyring.access_token(granted),
        token_type="Bearer",  # noqa: S106 - no password
        expires_in=keyring.tokens.lifetime_s,
        refresh_token=granted.refresh_token,
        session_id=granted.session_id,
    )


@post("", status_code=HTTPStatus.CREATED)
async def log_in(
    request: Asked,
    limits: NamedDependency[Limits],
    data: JSONBody[LogIn],
    cart_token: CartToken = None,
) -> TokensView:
    """Log in. 401 is the same for a wrong password and for an account that is not there.

    The cart of a guest whose `Cart-Token` is sent along goes into that of the account.
    """
    granted = await admit(request, limits, data)
    if cart_token is not None:
        await bring(request, granted.user_id, cart_token)
    return tokens_view(keyring_of(request.app.state), granted)


async def admit(
    request: Asked,
    limits: Limits,
    data: LogIn,
    *,
    lasting: Lifetimes | None = None,
    roles: Collection[Role] | None = None,
) -> Granted:
    """Open a session for whoever shows what it takes, and is in one of `roles` if any are given.

    Raises QuotaExceeded, LoginRefused, SecondFactorRequired, Forbidden.
    """
    keyring = keyring_of(request.app.state)
    await limits.take(Action.LOGIN, account=fold(data.email), request=request)
    async with transaction(request.app.state.database) as tx:
        login = await users.find_login(tx, email_folded=fold(data.email))
    kept = None if login is None else login.password_hash
    right = await keyring.passwords.verify(data.password, kept)
    if login is None or not right or login.disabled:
        raise LoginRefused(REFUSED)
    renewed = await _renewed(keyring, login, data.password)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.SESSION)
        given = (data.otp, data.recovery_code)
        mfa = await factors.spend(tx, keyring, login, given, origin(request))
        if roles is not None:
            await _refuse_others(tx, request, login, roles)
        proved = Proved(login.user_id, login.token_version, mfa)
        granted = await open_session(tx, request, proved, lasting)
        if renewed is not None and login.password_hash is not None:
            await users.renew_hash(tx, login.user_id, login.password_hash, renewed)
    return granted


async def _refuse_others(
    tx: AsyncConnection, request: Asked, login: Login, roles: Collection[Role]
) -> None:
    settings: Settings = request.app.state.settings
    user = await users.get(tx, login.user_id)
    role = acting(Role(user.role), mfa=user.mfa_enabled, mfa_required=settings.require_mfa)
    if role not in roles:
        raise Forbidden("This account is not one of the staff, or has no second factor yet.")


async def _renewed(keyring: Keyring, login: Login, password: str) -> str | None:
    """Hash a password again that was hashed with other parameters than are used now."""
    outdated = login.password_hash is not None and keyring.passwords.is_outdated(
        login.password_hash
    )
    return await keyring.passwords.hash(password) if outdated else None


async def open_session(
    tx: AsyncConnection, request: Asked, proved: Proved, lasting: Lifetimes | None = None
) -> Granted:
    """Open a session and note it; raises LoginRefused if the account changed meanwhile."""
    where, lasting = origin(request), lasting or keyring_of(request.app.state).lasting
    granted = await sessions.open_session(tx, proved, origin=where, lasting=lasting)
    if granted is None:
        raise LoginRefused(REFUSED)
    session_id = granted.session_id
    await security.append(tx, proved.user_id, SecurityEvent.LOGIN, where, session_id=session_id)
    return granted


@post("/refresh", status_code=HTTPStatus.OK)
async def refresh_session(request: Asked, data: JSONBody[Refresh]) -> TokensView:
    """Exchange a refresh token for new tokens.

    One that was used before ends the session, as somebody has a copy; a repeat within seconds is
    refused only.
    """
    keyring = keyring_of(request.app.state)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.REFRESH)
        outcome = await sessions.refresh(tx, data.refresh_token, lasting=keyring.lasting)
        if isinstance(outcome, Reused):
            await _alarm(tx, request, outcome)
    if isinstance(outcome, Granted):
        return tokens_view(keyring, outcome)
    if outcome is Refused.REPEATED:
        raise Unauthenticated(
            "It was used just now: go on with its successor.", field="refresh_token"
        )
    raise Unauthenticated("It is not good any more: log in again.", field="refresh_token")


async def _alarm(tx: AsyncConnection, request: Asked, reused: Reused) -> None:
    """Tell the owner that a token was used twice."""
    log.warning("A refresh token was used again", extra={"fields": {"user_id": reused.user_id}})
    await security.append(
        tx,
        reused.user_id,
        SecurityEvent.REFRESH_REUSED,
        origin(request),
        session_id=reused.session_id,
    )
    notice = AccountNotice.SESSION_REVOKED
    await account_notices.tell(tx, notice, reused.email, user_id=reused.user_id)


@get("")
async def list_sessions(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[SessionPage]:
    """List one's sessions, newest first."""
    user_id, current = asker(request)
    before = None if cursor is None else pages.decode(cursor)
    found = await sessions.page(tx, user_id, before=before, limit=limit + 1)
    shown = list(found[:limit])
    headers = pages.link(request, shown[-1].id) if len(found) > limit else {}
    return Response(SessionPage(current, shown), headers=headers)


@delete("/current")
async def log_out(request: Asked, tx: NamedDependency[AsyncConnection]) -> None:
    """Log out; the access token is of no use from now on."""
    name_commit(tx, Commit.SESSION)
    user_id, current = asker(request)
    await sessions.revoke(tx, user_id, Revoked.LOGOUT, only=current)


@delete("")
async def log_out_everywhere(request: Asked, tx: NamedDependency[AsyncConnection]) -> None:
    """End all of one's sessions, this one too."""
    name_commit(tx, Commit.SESSION)
    user_id, _ = asker(request)
    await sessions.revoke(tx, user_id, Revoked.LOGOUT)


@delete("/{session_id:uuid}")
async def revoke_session(
    request: Asked, tx: NamedDependency[AsyncConnection], session_id: FromPath[UUID]
) -> None:
    """End one of one's sessions."""
    name_commit(tx, Commit.SESSION)
    user_id, _ = asker(request)
    if not await sessions.revoke(tx, user_id, Revoked.USER, only=session_id):
        raise NotFound(f"There is no session {session_id}.")


router = Router(
    "/v1/sessions",
    route_handlers=[
        log_in,
        refresh_session,
        list_sessions,
        log_out,
        log_out_everywhere,
        revoke_session,
    ],
    tags=["sessions"],
)
