"""The forms of single inputs that several routes take."""

from typing import Annotated

from litestar.params import PathParameter
from msgspec import Meta

_SKU = r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"
Sku = Annotated[str, Meta(pattern=_SKU, max_length=64)]
SkuInPath = Annotated[str, PathParameter(pattern=_SKU, max_length=64)]

# What browsers take for an address: HTML, "valid e-mail address".
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
Email = Annotated[
    str,
    Meta(pattern=rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*\Z", max_length=254),
]

# A token of the gateway; never a card number.
PaymentMethod = Annotated[str, Meta(pattern=r"^(?:pm|tok)_[A-Za-z0-9_]+\Z", max_length=200)]
