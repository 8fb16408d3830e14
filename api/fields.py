"""The forms of single inputs that several routes take."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

from api.problems import InvalidRequest

_SKU = r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"
Sku = Annotated[str, Meta(pattern=_SKU, max_length=64)]
SkuInPath = Annotated[str, PathParameter(pattern=_SKU, max_length=64)]

# What browsers take for an address: HTML, "valid e-mail address".
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
Email = Annotated[
    str,
    Meta(pattern=rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*\Z", max_length=254),
]

# A token of the gateway; never a card number, not even behind a token's prefix.
PaymentMethod = Annotated[
    str, Meta(pattern=r"^(?:pm|tok)_(?=[0-9_]*[A-Za-z])[A-Za-z0-9_]+\Z", max_length=200)
]

# Text, because Litestar would read a bare number as seconds since 1970.
MomentInQuery = Annotated[
    str | None, QueryParameter(max_length=40, schema_extra={"format": "date-time"})
]
_Moment = Annotated[datetime, Meta(tz=True)]
# Years beyond these are a mistake, and arithmetic with them may overflow.
_YEARS = range(2000, 9000)


def moment(text: str | None, *, field: str) -> datetime | None:
    """Read a moment; raises InvalidRequest for one without an offset, which could be any time."""
    if text is None:
        return None
    try:
        at = msgspec.convert(text, _Moment)
    except msgspec.ValidationError as error:
        raise _no_moment(field) from error
    if at.year not in _YEARS:
        raise _no_moment(field)
    return at


def _no_moment(field: str) -> InvalidRequest:
    return InvalidRequest(
        f"{field}: send a moment with its offset, e.g. 2026-01-31T12:00:00Z (a + as %2B).",
        field=field,
    )
