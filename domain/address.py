"""Where an order goes."""

from typing import Annotated

import msgspec
from msgspec import Meta

from domain.country import Country
from domain.text import ON_ONE_LINE, ONE_LINE, Text


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """A postal address as it is kept; `country` is ISO 3166-1 alpha-2."""

    name: str
    line1: str
    city: str
    postcode: str
    country: str
    line2: str | None = None
    region: str | None = None


class Destination(Address, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A postal address as it is taken.

    A type of its own: what was taken stays readable when the rules or the countries change.
    """

    name: Text
    line1: Text
    city: Text
    postcode: Annotated[
        str, Meta(min_length=1, max_length=20, pattern=ONE_LINE, description=ON_ONE_LINE)
    ]
    country: Country
    line2: Text | None = None
    region: Text | None = None
