"""Accounts of people: whose an address is, and the ways an account says no."""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.refusal import Refusal


class LoginRefused(Refusal):
    """Address and password are not those of an account that may log in; never which of them."""

    code: ClassVar[str] = "login_refused"


class SecondFactorRequired(Refusal):
    """The password is right, and the account wants a second factor as well."""

    code: ClassVar[str] = "second_factor_required"


class CodeRefused(Refusal):
    """The code is used, too old, or was never one."""

    code: ClassVar[str] = "code_refused"


class OrdersUnderWay(Refusal):
    """Orders of the account still need to know whose they are."""

    code: ClassVar[str] = "orders_under_way"


class AccountsClosed(Refusal):
    """The deployment has no keys to sign tokens and codes with."""

    code: ClassVar[str] = "accounts_closed"


class AccountTier(StrEnum):
    """How many requests an account may send; a word of `Tier` each."""

    AUTHENTICATED = "authenticated"
    PREMIUM = "premium"


class Revoked(StrEnum):
    """Why a session ended before its time."""

    LOGOUT = "logout"
    USER = "user"  # from another session of the same person
    PASSWORD = "password"  # noqa: S105 - the password was changed
    EMAIL = "email"
    MFA = "mfa"
    REUSE = "reuse"  # of a refresh token: somebody has a copy
    STAFF = "staff"
    DELETED = "deleted"


class SecurityEvent(StrEnum):
    """What happened to an account that its owner may want to know later."""

    REGISTERED = "registered"
    LOGIN = "login"
    REFRESH_REUSED = "refresh_reused"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - no password
    PASSWORD_RESET = "password_reset"  # noqa: S105 - no password
    EMAIL_CHANGED = "email_changed"
    MFA_ENABLED = "mfa_enabled"
    MFA_DISABLED = "mfa_disabled"
    RECOVERY_CODE_USED = "recovery_code_used"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"


class Origin(msgspec.Struct, frozen=True):
    """Where a request came from, as its owner may recognise it."""

    address: str | None
    user_agent: str | None


class Proved(msgspec.Struct, frozen=True):
    """Somebody who showed what it takes to log in, with a second factor or without."""

    user_id: UUID
    token_version: int
    mfa: bool


class NewAccount(msgspec.Struct, frozen=True):
    """An account that is to be made, of an address that is verified."""

    email: str
    name: str | None
    password_hash: str | None
    role: str = "customer"


class Login(msgspec.Struct, frozen=True):
    """An account as whoever wants to log in meets it."""

    user_id: UUID
    email: str
    name: str | None
    password_hash: str | None
    token_version: int
    mfa_secret: bytes | None
    mfa_enabled: bool
    disabled: bool

    @property
    def words(self) -> tuple[str, ...]:
        """Words that no password of theirs should be made of."""
        return words_of(self.email, self.name)


def fold(email: str) -> str:
    """Give the one spelling of an address, by which its one account is found.

    Only ASCII is taken as an address, and IDNA domains in their ASCII form, so no other letter
    can pass for one of these, neither folded (the sign of Kelvin) nor to the eye (Cyrillic).
    Raises ValueError for any other.
    """
    if not email.isascii():
        raise ValueError("An address is ASCII; write its domain in its xn-- form.")
    return email.lower()


def words_of(email: str, name: str | None) -> tuple[str, ...]:
    """Give what a password should not be made of."""
    local, _, domain = email.partition("@")
    return (
        email,
        local,
        domain,
        domain.partition(".")[0],
        *([name, *name.split()] if name else ()),
    )
