"""One's second factor over HTTP: enrolled, confirmed, taken away, and its recovery codes."""

from http import HTTPStatus

import msgspec
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from api import factors as otp
from api.account_fields import OneTimePassword
from api.authentication import Asked
from api.factors import digest, new_recovery_codes, secret_of
from api.limits import Limits
from api.origin import origin
from api.proof import Proof, asker, keyring_of, password_of, spend_factor
from api.sessions import TokensView, open_session, tokens_view
from db import account_notices, factors, security, sessions, users
from db.engine import name_commit, transaction
from domain.account import Login, LoginRefused, Proved, Revoked, SecurityEvent
from domain.account_mail import AccountNotice
from domain.limit import Action
from domain.refusal import Conflict
from ops.telemetry.faultpoint import Commit


class Enrolled(msgspec.Struct, frozen=True):
    """What an authenticator needs, shown once; `uri` is the same as text of a QR code."""

    secret: str
    uri: str


class ConfirmFactor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the authenticator shows."""

    otp: OneTimePassword


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes that stand in for a lost authenticator, each once; shown this once."""

    recovery_codes: list[str]


class FactorOn(msgspec.Struct, frozen=True):
    """The recovery codes, and the tokens of a session that has shown the factor."""

    recovery_codes: list[str]
    tokens: TokensView


@post("", status_code=HTTPStatus.OK)
async def enrol_factor(request: Asked, data: JSONBody[Proof]) -> Enrolled:
    """Make the secret of an authenticator; it counts once it is confirmed. 409 if one counts."""
    login = await password_of(request, data.password)
    secret = otp.new_secret()
    sealed = keyring_of(request.app.state).seal(login.user_id, secret.encode())
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.FACTOR)
        if not await factors.enrol(tx, login.user_id, sealed):
            raise Conflict("There is a second factor: disable it first.")
    return Enrolled(secret, otp.address(secret, login.email))


@post("/confirm", status_code=HTTPStatus.OK)
async def confirm_factor(
    request: Asked, limits: NamedDependency[Limits], data: JSONBody[ConfirmFactor]
) -> FactorOn:
    """Confirm the authenticator: from now on logging in takes it. All sessions end but this."""
    user_id, _ = asker(request)
    keyring = keyring_of(request.app.state)
    shown = new_recovery_codes()
    # Whoever has found a session would guess the code of a secret that is still to be confirmed.
    await limits.take(Action.LOGIN, account=str(user_id), request=request)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.FACTOR)
        await users.get(tx, user_id, lock=True)
        login = await users.get_login(tx, user_id)
        step = otp.step_of(secret_of(keyring, user_id, login.mfa_secret), data.otp)
        if step is None:
            raise LoginRefused("It is wrong: look at the clocks, and send a new one.", field="otp")
        if not await factors.confirm(tx, user_id, login.mfa_secret or b""):
            raise Conflict("There is a second factor already.")
        await factors.spend_step(tx, user_id, step)
        await factors.renew_codes(tx, user_id, [digest(each) for each in shown])
        await _told(tx, request, login, SecurityEvent.MFA_ENABLED, AccountNotice.MFA_ENABLED)
        proved = Proved(user_id, login.token_version + 1, mfa=True)
        granted = await open_session(tx, request, proved)
    return FactorOn(shown, tokens_view(keyring, granted))


@post("/disable", status_code=HTTPStatus.OK)
async def disable_factor(request: Asked, data: JSONBody[Proof]) -> TokensView:
    """Take the second factor away, with itself or a recovery code. All sessions end but this."""
    login = await password_of(request, data.password)
    keyring = keyring_of(request.app.state)
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.FACTOR)
        if not await spend_factor(tx, request, login, data):
            raise Conflict("There is no second factor.")
        await factors.disable(tx, login.user_id)
        await _told(tx, request, login, SecurityEvent.MFA_DISABLED, AccountNotice.MFA_DISABLED)
        proved = Proved(login.user_id, login.token_version + 1, mfa=False)
        granted = await open_session(tx, request, proved)
    return tokens_view(keyring, granted)


@post("/recovery-codes", status_code=HTTPStatus.OK)
async def renew_recovery_codes(request: Asked, data: JSONBody[Proof]) -> RecoveryCodes:
    """Make new recovery codes; the old ones are of no use any more."""
    login = await password_of(request, data.password)
    shown = new_recovery_codes()
    async with transaction(request.app.state.database) as tx:
        name_commit(tx, Commit.FACTOR)
        if not await spend_factor(tx, request, login, data):
            raise Conflict("There is no second factor: enrol one first.")
        await factors.renew_codes(tx, login.user_id, [digest(each) for each in shown])
        kind = SecurityEvent.RECOVERY_CODES_RENEWED
        await security.append(tx, login.user_id, kind, origin(request))
    return RecoveryCodes(shown)


async def _told(
    tx: AsyncConnection,
    request: Asked,
    login: Login,
    kind: SecurityEvent,
    notice: AccountNotice,
) -> None:
    """End the sessions that were logged in otherwise, and tell the owner."""
    await sessions.revoke(tx, login.user_id, Revoked.MFA)
    await security.append(tx, login.user_id, kind, origin(request))
    await account_notices.tell(tx, notice, login.email, user_id=login.user_id)


router = Router(
    "/v1/users/me/totp",
    route_handlers=[enrol_factor, confirm_factor, disable_factor, renew_recovery_codes],
    tags=["accounts"],
)
