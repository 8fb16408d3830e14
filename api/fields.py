"""The forms of single inputs that several routes take."""

import re
from datetime import datetime
from typing import Annotated

import msgspec
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

from api.problems import InvalidRequest
from domain.catalogue import A_SLUG, SLUG, SLUG_CHARS_MAX

_SKU = r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"
_A_SKU = "a SKU of ASCII letters, digits, dots, dashes and underscores, e.g. APPLE-1"
Sku = Annotated[str, Meta(pattern=_SKU, max_length=64, description=_A_SKU)]
SkuInPath = Annotated[str, PathParameter(pattern=_SKU, max_length=64, description=_A_SKU)]

SlugInPath = Annotated[
    str, PathParameter(pattern=SLUG, max_length=SLUG_CHARS_MAX, description=A_SLUG)
]

# What browsers take for an address: HTML, "valid e-mail address"; the length of what precedes
# the @ is that of SMTP (RFC 5321 §4.5.3.1.1).
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
Email = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*\Z",
        max_length=254,
        description="an e-mail address, up to 64 characters before the @, e.g. ann@example.com",
    ),
]

# A token of the gateway; never a card number, not even behind a token's prefix.
PaymentMethod = Annotated[
    str,
    Meta(
        pattern=r"^(?:pm|tok)_(?=[0-9_]*[A-Za-z])[A-Za-z0-9_]+\Z",
        max_length=200,
        description="a token of the gateway and never a card number, e.g. pm_card_visa",
    ),
]

# Text, because Litestar would read a bare number as seconds since 1970.
MomentInQuery = Annotated[
    str | None, QueryParameter(max_length=40, schema_extra={"format": "date-time"})
]
# The grammar of RFC 3339 §5.6; msgspec would also read a space for the T, and +0100.
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_Moment = Annotated[datetime, Meta(tz=True)]
# Years beyond these are a mistake, and arithmetic with them may overflow.
_YEARS = range(2000, 9000)


def moment(text: str | None, *, field: str) -> datetime | None:
    """Read a moment; raises InvalidRequest for one without an offset, which could be any time."""
    if text is None:
        return None
    if not _RFC_3339.fullmatch(text):
        raise _no_moment(field)
    try:
        at = msgspec.convert(text, _Moment)
    except msgspec.ValidationError as error:
        raise _no_moment(field) from error
    if at.year not in _YEARS:
        raise _no_moment(field)
    return at


def _no_moment(field: str) -> InvalidRequest:
    return InvalidRequest(
        "Send a moment of RFC 3339 with its offset, e.g. 2026-01-31T12:00:00Z (a + as %2B).",
        field=field,
    )
