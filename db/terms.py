"""Terms: what of discounts, shipping and taxes is set up for some orders, read and held."""

from collections.abc import Collection
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from domain.discount import Discount, DiscountKind
from domain.tax import Region, TaxClass, TaxTable
from domain.terms import ELSEWHERE, ShippingRate, Terms

# More automatic discounts at a time than these are a mistake: the oldest count.
AUTOMATIC_MAX = 50


class Setup(msgspec.Struct, frozen=True):
    """What of it there is at all, so that who has none of it is not asked about it."""

    taxes: bool
    shipping: bool
    automatic: bool

    @property
    def any(self) -> bool:
        """Tell whether there is anything."""
        return self.taxes or self.shipping or self.automatic


class Asked(msgspec.Struct, frozen=True):
    """What terms are asked for."""

    codes: Collection[str]
    countries: Collection[str]
    currencies: Collection[str]


class _DiscountRow(msgspec.Struct):
    id: UUID
    slug: str
    code: str | None
    kind: str
    value: int
    currency: str | None
    skus: list[str] | None
    minimum_minor: int
    combines: bool
    starts_at: datetime | None
    ends_at: datetime | None
    uses_max: int | None
    uses_per_customer_max: int | None


_DISCOUNT: LiteralString = (
    "id, slug, code, kind, value, currency, skus, minimum_minor, combines, starts_at, ends_at,"
    " uses_max, uses_per_customer_max"
)
# Whoever sets a limit waits for those who read that there was none.
_HELD: LiteralString = "FOR KEY SHARE"

# What there is of a setup, as columns of a statement.
SETUP: LiteralString = """
    EXISTS (SELECT FROM tax_rates WHERE deleted_at IS NULL),
    EXISTS (SELECT FROM shipping_rates WHERE deleted_at IS NULL),
    EXISTS (SELECT FROM discounts WHERE code IS NULL AND deleted_at IS NULL)
"""


async def setup(tx: AsyncConnection) -> Setup:
    """Read what there is at all."""
    [found] = await fetch(tx, Setup, f"SELECT {SETUP}", {})
    return found


async def read(
    tx: AsyncConnection, there: Setup, asked: Asked, *, tax_included: bool, hold: bool
) -> Terms:
    """Read the terms of some orders; with `hold` discounts get no limit until this ends."""
    found = [
        *(await _automatic(tx, _HELD if hold else "") if there.automatic else ()),
        *(await _of_codes(tx, asked.codes, _HELD if hold else "") if asked.codes else ()),
    ]
    return Terms(
        taxes=TaxTable(
            await _taxes(tx, asked.countries) if there.taxes else {}, included=tax_included
        ),
        shipping=await _shipping(tx, asked) if there.shipping else {},
        codes={discount.code: discount for discount in found if discount.code is not None},
        automatic=[discount for discount in found if discount.code is None],
    )


async def _of_codes(
    tx: AsyncConnection, codes: Collection[str], held: LiteralString
) -> list[Discount]:
    rows = await fetch(
        tx,
        _DiscountRow,
        f"""
        SELECT {_DISCOUNT} FROM discounts
        WHERE code = ANY (%(codes)b::text[]) AND deleted_at IS NULL ORDER BY id {held}
        """,  # noqa: S608 - texts of ours alone
        {"codes": list(codes)},
    )
    return [_discount(row) for row in rows]


async def _automatic(tx: AsyncConnection, held: LiteralString) -> list[Discount]:
    rows = await fetch(
        tx,
        _DiscountRow,
        f"""
        SELECT {_DISCOUNT} FROM discounts
        WHERE code IS NULL AND deleted_at IS NULL AND uses < coalesce(uses_max, uses + 1)
          AND (starts_at IS NULL OR starts_at <= now()) AND (ends_at IS NULL OR now() < ends_at)
        ORDER BY id LIMIT %(limit)s {held}
        """,  # noqa: S608 - texts of ours alone
        {"limit": AUTOMATIC_MAX},
    )
    return [_discount(row) for row in rows]


def _discount(row: _DiscountRow) -> Discount:
    columns = msgspec.structs.asdict(row)
    columns["kind"] = DiscountKind(row.kind)
    columns["skus"] = None if row.skus is None else frozenset(row.skus)
    return Discount(**columns)


class _TaxRow(msgspec.Struct):
    country: str
    part: str
    standard_ppm: int
    reduced_ppm: int | None


async def _taxes(
    tx: AsyncConnection, countries: Collection[str]
) -> dict[tuple[Region, TaxClass], int]:
    rows = await fetch(
        tx,
        _TaxRow,
        """
        SELECT country, part, standard_ppm, reduced_ppm FROM tax_rates
        WHERE country = ANY (%(countries)b::text[]) AND deleted_at IS NULL
        """,
        {"countries": sorted(countries)},
    )
    rates: dict[tuple[Region, TaxClass], int] = {}
    for row in rows:
        region = Region(row.country, row.part or None)
        rates[region, TaxClass.STANDARD] = row.standard_ppm
        if row.reduced_ppm is not None:
            rates[region, TaxClass.REDUCED] = row.reduced_ppm
    return rates


async def _shipping(tx: AsyncConnection, asked: Asked) -> dict[tuple[str, str], ShippingRate]:
    rows = await fetch(
        tx,
        ShippingRate,
        """
        SELECT country, currency, price_minor, free_from_minor FROM shipping_rates
        WHERE country = ANY (%(countries)b::text[]) AND currency = ANY (%(currencies)b::text[])
          AND deleted_at IS NULL
        """,
        {
            "countries": sorted({ELSEWHERE, *asked.countries}),
            "currencies": sorted(asked.currencies),
        },
    )
    return {(row.country, row.currency): row for row in rows}
