"""Rates of taxes and of shipping as staff sets them up, one row for each region."""

from typing import LiteralString

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run

# A country has some dozen parts, and shops sell to some dozen countries.
RATES_MAX = 1000


class TaxRateView(msgspec.Struct, frozen=True):
    """What is due in a country, or in a part of it; parts per million of the net price.

    Without `reduced_ppm`, goods of that class are taxed as all others.
    """

    country: str
    part: str
    standard_ppm: int
    reduced_ppm: int | None
    version: int = 0


class ShippingRateView(msgspec.Struct, frozen=True):
    """What shipping to a country costs, `*` for all others; free from so much of goods on."""

    country: str
    currency: str
    price_minor: int
    free_from_minor: int | None
    version: int = 0


_TAX: LiteralString = "SELECT country, part, standard_ppm, reduced_ppm, version FROM tax_rates"
_SHIPPING: LiteralString = (
    "SELECT country, currency, price_minor, free_from_minor, version FROM shipping_rates"
)


async def taxes(tx: AsyncConnection) -> list[TaxRateView]:
    """List the rates of taxes by country and part."""
    listed = f"{_TAX} WHERE deleted_at IS NULL ORDER BY country, part LIMIT %(limit)s"
    return await fetch(tx, TaxRateView, listed, {"limit": RATES_MAX})


async def find_tax(tx: AsyncConnection, country: str, part: str) -> TaxRateView | None:
    """Read the rate of a region."""
    there = f"{_TAX} WHERE country = %(country)s AND part = %(part)s AND deleted_at IS NULL"
    found = await fetch(tx, TaxRateView, there, {"country": country, "part": part})
    return found[0] if found else None


async def put_tax(tx: AsyncConnection, wanted: TaxRateView) -> TaxRateView:
    """Make or change the rate of a region; its version is counted here."""
    [made] = await fetch(
        tx,
        TaxRateView,
        """
        INSERT INTO tax_rates AS t (country, part, standard_ppm, reduced_ppm)
        VALUES (%(country)s, %(part)s, %(standard_ppm)s, %(reduced_ppm)s)
        ON CONFLICT (country, part) DO UPDATE
        SET standard_ppm = excluded.standard_ppm, reduced_ppm = excluded.reduced_ppm,
            deleted_at = NULL, version = t.version + 1, updated_at = now()
        RETURNING country, part, standard_ppm, reduced_ppm, version
        """,
        msgspec.structs.asdict(wanted),
    )
    return made


async def delete_tax(tx: AsyncConnection, country: str, part: str) -> None:
    """Take the rate of a region out of use; its version goes on if it comes back."""
    await run(
        tx,
        """
        UPDATE tax_rates SET deleted_at = now(), version = version + 1, updated_at = now()
        WHERE country = %(country)s AND part = %(part)s AND deleted_at IS NULL
        """,
        {"country": country, "part": part},
    )


async def shipping(tx: AsyncConnection) -> list[ShippingRateView]:
    """List the rates of shipping by country and currency."""
    listed = f"{_SHIPPING} WHERE deleted_at IS NULL ORDER BY country, currency LIMIT %(limit)s"
    return await fetch(tx, ShippingRateView, listed, {"limit": RATES_MAX})


async def find_shipping(
    tx: AsyncConnection, country: str, currency: str
) -> ShippingRateView | None:
    """Read the rate of a country in a currency."""
    there = f"""{_SHIPPING}
        WHERE country = %(country)s AND currency = %(currency)s AND deleted_at IS NULL"""
    found = await fetch(tx, ShippingRateView, there, {"country": country, "currency": currency})
    return found[0] if found else None


async def put_shipping(tx: AsyncConnection, wanted: ShippingRateView) -> ShippingRateView:
    """Make or change the rate of a country; its version is counted here."""
    [made] = await fetch(
        tx,
        ShippingRateView,
        """
        INSERT INTO shipping_rates AS s (country, currency, price_minor, free_from_minor)
        VALUES (%(country)s, %(currency)s, %(price_minor)s, %(free_from_minor)s)
        ON CONFLICT (country, currency) DO UPDATE
        SET price_minor = excluded.price_minor, free_from_minor = excluded.free_from_minor,
            deleted_at = NULL, version = s.version + 1, updated_at = now()
        RETURNING country, currency, price_minor, free_from_minor, version
        """,
        msgspec.structs.asdict(wanted),
    )
    return made


async def delete_shipping(tx: AsyncConnection, country: str, currency: str) -> None:
    """Take the rate of a country out of use; its version goes on if it comes back."""
    await run(
        tx,
        """
        UPDATE shipping_rates SET deleted_at = now(), version = version + 1, updated_at = now()
        WHERE country = %(country)s AND currency = %(currency)s AND deleted_at IS NULL
        """,
        {"country": country, "currency": currency},
    )


async def lock(tx: AsyncConnection) -> None:
    """Keep others from changing rates until the transaction ends; orders read on."""
    await run(tx, "SELECT pg_advisory_xact_lock(hashtextextended('rates', 0))", {})
