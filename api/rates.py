"""Rates of taxes and of shipping over HTTP, for staff; an order is priced by them at once."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional
from api.authentication import Asked
from api.openapi import answered
from api.problems import InvalidRequest
from db import rates
from db.engine import name_commit
from db.rates import ShippingRateView, TaxRateView
from domain.country import COUNTRIES
from domain.money import AMOUNT_MINOR_MAX, CURRENCIES
from domain.refusal import NotFound
from domain.tax import PPM
from domain.terms import ELSEWHERE
from ops.telemetry.faultpoint import Commit

Ppm = Annotated[int, Meta(ge=0, le=PPM, description="parts per million, e.g. 190000 for 19 %")]
Minor = Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)]

Region = Annotated[
    str,
    PathParameter(
        pattern=r"^[A-Z]{2}(?:-[A-Z0-9](?:[A-Z0-9 ]{0,48}[A-Z0-9])?)?\Z",
        max_length=53,
        description="a country, or a part of it as addresses name it in `region`: US-CA",
    ),
]
Zone = Annotated[
    str,
    PathParameter(
        pattern=r"^(?:[A-Z]{2}|[*])-[A-Z]{3}\Z",
        max_length=6,
        description="a country, or * for all others, and a currency: GB-GBP",
    ),
]


class PutTaxRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is due on goods of each class; `zero` is never taxed."""

    standard_ppm: Ppm
    reduced_ppm: Ppm | None = None


class PutShippingRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shipping costs, and from how much of goods on it is free."""

    price_minor: Minor
    free_from_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)] | None = None


class TaxRates(msgspec.Struct, frozen=True):
    """All rates of taxes; what goes elsewhere is not taxed."""

    rates: list[TaxRateView]


class ShippingRates(msgspec.Struct, frozen=True):
    """All rates of shipping; elsewhere it is free."""

    rates: list[ShippingRateView]


def _parts(region: str) -> tuple[str, str]:
    country, _, part = region.partition("-")
    return country, part


def _refuse_nowhere(field: str, country: str) -> None:
    """Refuse a rate that no order would ever be priced by."""
    if country not in COUNTRIES:
        raise InvalidRequest("Expected a country code of ISO 3166-1, e.g. GB.", field=field)


def _refuse_no_zone(country: str, currency: str) -> None:
    if country != ELSEWHERE:
        _refuse_nowhere("zone", country)
    if currency not in CURRENCIES:
        raise InvalidRequest("Expected a currency code of ISO 4217, e.g. GBP.", field="zone")


@get("")
async def list_tax_rates(tx: NamedDependency[AsyncConnection]) -> TaxRates:
    """List the rates of taxes."""
    return TaxRates(await rates.taxes(tx))


@get("/{region:str}")
async def get_tax_rate(
    request: Asked, tx: NamedDependency[AsyncConnection], region: Region
) -> Response[TaxRateView]:
    """Read the rate of a region."""
    found = await rates.find_tax(tx, *_parts(region))
    if found is None:
        raise NotFound(f"There is no rate for {region}.")
    return conditional.show(request, found, version=found.version)


@put(
    "/{region:str}",
    responses={HTTPStatus.CREATED: answered(TaxRateView, "Created.")},
)
async def put_tax_rate(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    region: Region,
    data: JSONBody[PutTaxRate],
) -> Response[TaxRateView]:
    """Set the rate of a region; orders keep that by which they were priced."""
    _refuse_nowhere("region", _parts(region)[0])
    name_commit(tx, Commit.RATE)
    await rates.lock(tx)
    was = await rates.find_tax(tx, *_parts(region))
    conditional.check(request, version=None if was is None else was.version)
    wanted = TaxRateView(*_parts(region), data.standard_ppm, data.reduced_ppm)
    stored = await rates.put_tax(tx, wanted)
    await audit.record(tx, request, "tax_rate.put", region, before=was, after=stored)
    answer = conditional.show(request, stored, version=stored.version)
    answer.status_code = HTTPStatus.CREATED if was is None else HTTPStatus.OK
    return answer


@delete("/{region:str}", status_code=HTTPStatus.NO_CONTENT)
async def delete_tax_rate(
    request: Asked, tx: NamedDependency[AsyncConnection], region: Region
) -> None:
    """Tax nothing any more in a region; again is the same."""
    name_commit(tx, Commit.RATE)
    await rates.lock(tx)
    was = await rates.find_tax(tx, *_parts(region))
    conditional.check(request, version=None if was is None else was.version)
    if was is not None:
        await rates.delete_tax(tx, *_parts(region))
        await audit.record(tx, request, "tax_rate.delete", region, before=was)


@get("")
async def list_shipping_rates(tx: NamedDependency[AsyncConnection]) -> ShippingRates:
    """List the rates of shipping."""
    return ShippingRates(await rates.shipping(tx))


@get("/{zone:str}")
async def get_shipping_rate(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    zone: Zone,
) -> Response[ShippingRateView]:
    """Read the rate of a country in a currency."""
    found = await rates.find_shipping(tx, *_parts(zone))
    if found is None:
        raise NotFound(f"There is no rate for {zone}.")
    return conditional.show(request, found, version=found.version)


@put(
    "/{zone:str}",
    responses={HTTPStatus.CREATED: answered(ShippingRateView, "Created.")},
)
async def put_shipping_rate(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    zone: Zone,
    data: JSONBody[PutShippingRate],
) -> Response[ShippingRateView]:
    """Set the rate of a country; orders keep that by which they were priced."""
    _refuse_no_zone(*_parts(zone))
    name_commit(tx, Commit.RATE)
    await rates.lock(tx)
    was = await rates.find_shipping(tx, *_parts(zone))
    conditional.check(request, version=None if was is None else was.version)
    wanted = ShippingRateView(*_parts(zone), data.price_minor, data.free_from_minor)
    stored = await rates.put_shipping(tx, wanted)
    await audit.record(tx, request, "shipping_rate.put", zone, before=was, after=stored)
    answer = conditional.show(request, stored, version=stored.version)
    answer.status_code = HTTPStatus.CREATED if was is None else HTTPStatus.OK
    return answer


@delete("/{zone:str}", status_code=HTTPStatus.NO_CONTENT)
async def delete_shipping_rate(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    zone: Zone,
) -> None:
    """Ask nothing any more for shipping to a country; again is the same."""
    name_commit(tx, Commit.RATE)
    await rates.lock(tx)
    was = await rates.find_shipping(tx, *_parts(zone))
    conditional.check(request, version=None if was is None else was.version)
    if was is not None:
        await rates.delete_shipping(tx, *_parts(zone))
        await audit.record(tx, request, "shipping_rate.delete", zone, before=was)


taxes = Router(
    "/v1/tax-rates",
    route_handlers=[list_tax_rates, get_tax_rate, put_tax_rate, delete_tax_rate],
    tags=["pricing"],
)
shipping = Router(
    "/v1/shipping-rates",
    route_handlers=[
        list_shipping_rates,
        get_shipping_rate,
        put_shipping_rate,
        delete_shipping_rate,
    ],
    tags=["pricing"],
)
