"""The forms of single inputs that several routes take."""

import re
from datetime import datetime
from typing import Annotated

import msgspec
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

from api.problems import InvalidRequest
from domain.catalogue import A_SKU, A_SLUG, SKU, SKU_CHARS_MAX, SLUG, SLUG_CHARS_MAX
from domain.moment import YEARS, Moment
from domain.money import Currency

SkuInPath = Annotated[str, PathParameter(pattern=SKU, max_length=SKU_CHARS_MAX, description=A_SKU)]

SlugInPath = Annotated[
    str, PathParameter(pattern=SLUG, max_length=SLUG_CHARS_MAX, description=A_SLUG)
]

SlugInQuery = Annotated[
    str | None, QueryParameter(pattern=SLUG, max_length=SLUG_CHARS_MAX, description=A_SLUG)
]
CurrencyInQuery = Annotated[
    Currency | None,
    QueryParameter(description="a currency code of ISO 4217 in capitals, e.g. GBP"),
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

_CODE = r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"
_A_CODE = "a code of a discount, in whatever case, e.g. SUMMER-10"
DiscountCode = Annotated[str, Meta(pattern=_CODE, max_length=64, description=_A_CODE)]
DiscountCodeInPath = Annotated[
    str, PathParameter(pattern=_CODE, max_length=64, description=_A_CODE)
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


def moment(text: str | None, *, field: str) -> datetime | None:
    """Read a moment; raises InvalidRequest for one without an offset, which could be any time."""
    if text is None:
        return None
    if not _RFC_3339.fullmatch(text):
        raise _no_moment(field)
    try:
        at = msgspec.convert(text, Moment)
    except msgspec.ValidationError as error:
        raise _no_moment(field) from error
    if at.year not in YEARS:
        raise _no_moment(field)
    return at


def _no_moment(field: str) -> InvalidRequest:
    return InvalidRequest(
        "Send a moment of RFC 3339 with its offset, e.g. 2026-01-31T12:00:00Z (a + as %2B).",
        field=field,
    )
