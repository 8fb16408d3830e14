"""Variants over HTTP, the things that have a SKU: read by everybody, put by staff."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional
from api.authentication import Asked
from api.fields import SkuInPath
from db import variants
from db.engine import name_commit
from domain.money import AMOUNT_MINOR_MAX, Currency
from domain.refusal import NotFound
from domain.text import Text
from domain.variant import Variant
from ops.telemetry.faultpoint import Commit


class PutVariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A variant; `price_minor` is in minor units, e.g. pence."""

    name: Text
    price_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
    currency: Currency
    active: bool = True


@get("/{sku:str}")
async def get_variant(
    request: Request[Any, Any, Any], tx: NamedDependency[AsyncConnection], sku: SkuInPath
) -> Response[Variant]:
    """Read a variant."""
    found = await variants.find(tx, sku)
    if found is None:
        raise NotFound(f"There is no variant {sku}.")
    return conditional.show(request, found, version=found.version)


@put(
    "/{sku:str}",
    responses={HTTPStatus.CREATED: ResponseSpec(Variant, description="Created.")},
)
async def put_variant(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    data: JSONBody[PutVariant],
) -> Response[Variant]:
    """Create or replace a variant; orders keep the price they were placed at."""
    was = await variants.find(tx, sku)
    made = Variant(sku, data.name, data.price_minor, data.currency, data.active, version=0)
    name_commit(tx, Commit.VARIANT)
    stored = await variants.put(tx, made)
    # What it replaced is known only now. If that is not what was wanted, nothing is committed.
    conditional.check(request, version=stored.version - 1 or None)
    await audit.record(tx, request, "variant.put", sku, before=was, after=stored)
    answer = conditional.show(request, stored, version=stored.version)
    answer.status_code = HTTPStatus.CREATED if stored.version == 1 else HTTPStatus.OK
    return answer


router = Router("/v1/variants", route_handlers=[get_variant, put_variant], tags=["catalogue"])
