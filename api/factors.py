"""Second factors: one-time passwords of RFC 6238 and recovery codes, each good once."""

import base64
import hashlib
import hmac
import secrets
import time
from uuid import UUID

import pyotp
from pyotp.totp import TOTP
from sqlalchemy.ext.asyncio import AsyncConnection

from api.keyring import Keyring
from db import factors, security
from domain.account import Login, LoginRefused, Origin, SecondFactorRequired, SecurityEvent

ISSUER = "Orderflow"
RECOVERY_CODES = 10
_STEP_S = 30
# One step to either side, for clocks that differ and fingers that are slow (RFC 6238 §5.2).
_STEPS_APART = (0, -1, 1)
# 100 bits, in letters that are hard to mistake.
_RECOVERY_BYTES = 13
_RECOVERY_CHARS = 20
_GROUP = 4


def new_secret() -> str:
    """Make a secret for an authenticator."""
    return pyotp.random_base32()


def address(secret: str, email: str) -> str:
    """Write a secret as authenticators read it, e.g. from a QR code."""
    return TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def step_of(secret: str, otp: str, *, now_s: float | None = None) -> int | None:
    """Tell of which step of time a one-time password is; None if of none that is near."""
    totp = TOTP(secret)
    current = int(time.time() if now_s is None else now_s) // _STEP_S
    for apart in _STEPS_APART:
        if hmac.compare_digest(totp.generate_otp(current + apart), otp):
            return current + apart
    return None


def new_recovery_codes() -> list[str]:
    """Make the codes that replace a lost authenticator; they are shown once."""
    return [_grouped(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def _grouped(drawn: bytes) -> str:
    text = base64.b32encode(drawn).decode()[:_RECOVERY_CHARS]
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def digest(recovery_code: str) -> bytes:
    """Hash a recovery code as it is kept, however it was typed."""
    return hashlib.sha256(recovery_code.replace("-", "").upper().encode()).digest()


async def spend(
    tx: AsyncConnection,
    keyring: Keyring,
    login: Login,
    given: tuple[str | None, str | None],
    origin: Origin,
) -> bool:
    """Use up the second factor of an account, if it has one: whether it has, and it was right.

    `given` are a one-time password and a recovery code. Raises SecondFactorRequired for neither,
    LoginRefused for a wrong one.
    """
    if not login.mfa_enabled:
        return False
    otp, recovery_code = given
    if otp is not None:
        await _spend_otp(tx, keyring, login, otp)
    elif recovery_code is not None:
        if not await factors.spend_code(tx, login.user_id, digest(recovery_code)):
            raise LoginRefused("It is wrong, or was used.", field="recovery_code")
        await security.append(tx, login.user_id, SecurityEvent.RECOVERY_CODE_USED, origin)
    else:
        raise SecondFactorRequired("Send the six digits of the authenticator.", field="otp")
    return True


async def _spend_otp(tx: AsyncConnection, keyring: Keyring, login: Login, otp: str) -> None:
    step = step_of(secret_of(keyring, login.user_id, login.mfa_secret), otp)
    if step is None or not await factors.spend_step(tx, login.user_id, step):
        raise LoginRefused("It is wrong, or was used: wait for the next one.", field="otp")


def secret_of(keyring: Keyring, user_id: UUID, sealed: bytes | None) -> str:
    """Unseal the secret of an account; raises LoginRefused if it has none."""
    if sealed is None:
        raise LoginRefused("Enrol an authenticator first.", field="otp")
    return keyring.unseal(user_id, sealed).decode()
