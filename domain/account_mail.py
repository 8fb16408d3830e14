"""The mails of an account: what happened, and the code that goes on with it, if there is one."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.code import Purpose
from domain.mail import Mail


class AccountNotice(StrEnum):
    """What a mail of an account tells."""

    CONFIRM_ADDRESS = "confirm_address"
    ALREADY_REGISTERED = "already_registered"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - no password
    RESET_UNKNOWN = "reset_unknown"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - no password
    CONFIRM_OLD_ADDRESS = "confirm_old_address"
    CONFIRM_NEW_ADDRESS = "confirm_new_address"
    EMAIL_CHANGED = "email_changed"
    SESSION_REVOKED = "session_revoked"
    MFA_ENABLED = "mfa_enabled"
    MFA_DISABLED = "mfa_disabled"
    ACCOUNT_DELETED = "account_deleted"


PURPOSE_OF: Mapping[AccountNotice, Purpose] = {
    AccountNotice.CONFIRM_ADDRESS: Purpose.REGISTER,
    AccountNotice.RESET_PASSWORD: Purpose.RESET,
    AccountNotice.CONFIRM_OLD_ADDRESS: Purpose.CHANGE_EMAIL_OLD,
    AccountNotice.CONFIRM_NEW_ADDRESS: Purpose.CHANGE_EMAIL_NEW,
}

# Where the shop's own page goes on with a code. It follows a `#`, so that no log has it.
_PAGES: Mapping[Purpose, str] = {
    Purpose.REGISTER: "account/confirm",
    Purpose.RESET: "account/reset",
    Purpose.CHANGE_EMAIL_OLD: "account/email",
    Purpose.CHANGE_EMAIL_NEW: "account/email",
}
_NOT_YOU = "If that was not you, reset your password now: somebody may know it."
_IGNORE = "If that was not you, leave it: nothing changes without this code."
_TEXTS: Mapping[AccountNotice, tuple[str, str]] = {
    AccountNotice.CONFIRM_ADDRESS: (
        "Confirm your address",
        "Welcome. Confirm within a day that this address is yours, with the password you chose.\n"
        + _IGNORE,
    ),
    AccountNotice.ALREADY_REGISTERED: (
        "You already have an account",
        (
            "Somebody, probably you, wanted to use this address, which has an account already.\n"
            "Log in with it, or have its password reset. If that was not you, leave it."
        ),
    ),
    AccountNotice.RESET_PASSWORD: (
        "Reset your password",
        f"Choose a new password within half an hour.\n{_IGNORE}",
    ),
    AccountNotice.RESET_UNKNOWN: (
        "There is no account of this address",
        (
            "Somebody, probably you, wanted to reset the password of this address, which has no\n"
            "account. Yours may have another address. If that was not you, leave it."
        ),
    ),
    AccountNotice.PASSWORD_CHANGED: (
        "Your password was changed",
        f"Your password was changed, and all other sessions have ended.\n{_NOT_YOU}",
    ),
    AccountNotice.CONFIRM_OLD_ADDRESS: (
        "Confirm that your address changes",
        (
            "Your account is to have another address. Confirm within a day that you want it; the\n"
            f"new address has to be confirmed, too.\n{_IGNORE}"
        ),
    ),
    AccountNotice.CONFIRM_NEW_ADDRESS: (
        "Confirm your new address",
        (
            "An account is to have this address. Confirm within a day that it is yours; the one\n"
            f"it has now has to confirm it, too.\n{_IGNORE}"
        ),
    ),
    AccountNotice.EMAIL_CHANGED: (
        "Your address was changed",
        "Your account has another address now, and all sessions have ended.",
    ),
    AccountNotice.SESSION_REVOKED: (
        "We ended one of your sessions",
        (
            "A session was used by two at once, so one had a copy of its token. We have ended\n"
            f"it; log in again.\n{_NOT_YOU}"
        ),
    ),
    AccountNotice.MFA_ENABLED: (
        "Your second factor is on",
        f"Logging in now takes a code of your authenticator as well.\n{_NOT_YOU}",
    ),
    AccountNotice.MFA_DISABLED: (
        "Your second factor is off",
        f"Logging in now takes your password alone.\n{_NOT_YOU}",
    ),
    AccountNotice.ACCOUNT_DELETED: (
        "Your account is deleted",
        "What we knew of you is erased; what the law has us keep of your orders has no name.",
    ),
}


class AccountTold(msgspec.Struct, frozen=True):
    """A mail that is to be written; `code_id` is that of its code, if it has one."""

    id: UUID
    kind: str
    recipient: str
    code_id: UUID | None


def mail(told: AccountTold, code: str | None, public_url: str) -> Mail:
    """Write a mail; its message id is the same however often it is written."""
    notice = AccountNotice(told.kind)
    subject, opening = _TEXTS[notice]
    paragraphs = [opening]
    if code is not None:
        page = f"{public_url.rstrip('/')}/{_PAGES[PURPOSE_OF[notice]]}#{code}"
        paragraphs += [page, f"The code itself, which is good once:\n{code}"]
    return Mail(
        f"{told.id}.{notice}@orderflow", told.recipient, subject, "\n\n".join(paragraphs) + "\n"
    )
