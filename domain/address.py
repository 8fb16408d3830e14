"""Where an order goes."""

from typing import Annotated

import msgspec
from msgspec import Meta

Part = Annotated[str, Meta(min_length=1, max_length=200)]


class Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A postal address; `country` is ISO 3166-1 alpha-2."""

    name: Part
    line1: Part
    city: Part
    postcode: Annotated[str, Meta(min_length=1, max_length=20)]
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z", max_length=2)]
    line2: Part | None = None
    region: Part | None = None
