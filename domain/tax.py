"""Taxes: what is added to a price, or contained in it, by where the goods go."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol, final

import msgspec

PPM = 1_000_000  # of which a rate is a part: 8.875 % is 88,750


class TaxClass(StrEnum):
    """How goods are taxed; each region has a rate for each class, or that of `standard`."""

    STANDARD = "standard"
    REDUCED = "reduced"
    ZERO = "zero"  # never taxed, whatever the region


class Region(msgspec.Struct, frozen=True):
    """Where goods go: a country of ISO 3166-1, and a part of it where that taxes by itself."""

    country: str
    part: str | None = None


class Rate(msgspec.Struct, frozen=True):
    """What part of the net price the tax is, and whether prices there contain it."""

    ppm: int
    included: bool


class Taxes(Protocol):
    """Who knows the rates: a table of ours, or a tax service."""

    def rate(self, region: Region, tax_class: TaxClass) -> Rate:
        """Give the rate for goods of a class that go to a region."""
        ...


@final
class TaxTable:
    """Rates by region; a part of a country that has none of its own has the country's."""

    def __init__(self, rates: Mapping[tuple[Region, TaxClass], int], *, included: bool) -> None:
        """Take rates in parts per million; `included` says that prices contain the tax."""
        self._rates = rates
        self._included = included

    def rate(self, region: Region, tax_class: TaxClass) -> Rate:
        """Give the rate; a region that is not in the table is not taxed."""
        if tax_class is TaxClass.ZERO:
            return Rate(0, self._included)
        regions = (region, Region(region.country))
        classes = (tax_class, TaxClass.STANDARD)
        known = ((where, what) for where in regions for what in classes)
        found = (self._rates[key] for key in known if key in self._rates)
        return Rate(next(found, 0), self._included)


def tax(amount_minor: int, rate: Rate) -> int:
    """Give the tax on an amount in minor units, or in it; halves are rounded up."""
    whole = PPM + rate.ppm if rate.included else PPM
    return (2 * amount_minor * rate.ppm + whole) // (2 * whole)
