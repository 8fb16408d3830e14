"""The forms of inputs that routes of accounts take."""

from typing import Annotated

from msgspec import Meta

from domain.password import LENGTH_MAX

# The rules of a new password are told by name; this only bounds what is read.
Password = Annotated[str, Meta(min_length=1, max_length=1000, description="a password")]
NewPassword = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1000,
        description=f"15 to {LENGTH_MAX} characters of any kind, none of the commonest passwords",
    ),
]
Code = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_-]{64}\Z", max_length=64, description="the code of a mail"),
]
OneTimePassword = Annotated[
    str,
    Meta(pattern=r"^[0-9]{6}\Z", max_length=6, description="six digits of the authenticator"),
]
RecoveryCode = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z2-7]{4}(?:-?[A-Za-z2-7]{4}){4}\Z",
        max_length=24,
        description="a recovery code, e.g. ABCD-EFGH-IJKL-MNOP-QRST",
    ),
]
RefreshToken = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z", max_length=43, description="a refresh token"),
]
