"""Products over HTTP: read by everybody, put by staff."""

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
from db import products
from db.engine import name_commit
from domain.money import AMOUNT_MINOR_MAX, Currency
from domain.product import Product
from domain.refusal import NotFound
from domain.text import Text
from ops.telemetry.faultpoint import Commit


class PutProduct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product; `price_minor` is in minor units, e.g. pence."""

    name: Text
    price_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
    currency: Currency
    active: bool = True


@get("/{sku:str}")
async def get_product(
    request: Request[Any, Any, Any], tx: NamedDependency[AsyncConnection], sku: SkuInPath
) -> Response[Product]:
    """Read a product."""
    found = await products.find(tx, sku)
    if found is None:
        raise NotFound(f"There is no product {sku}.")
    return conditional.show(request, found, version=found.version)


@put(
    "/{sku:str}",
    responses={HTTPStatus.CREATED: ResponseSpec(Product, description="Created.")},
)
async def put_product(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    data: JSONBody[PutProduct],
) -> Response[Product]:
    """Create or replace a product; orders keep the price they were placed at."""
    was = await products.find(tx, sku)
    made = Product(sku, data.name, data.price_minor, data.currency, data.active, version=0)
    name_commit(tx, Commit.PRODUCT)
    stored = await products.put(tx, made)
    # What it replaced is known only now. If that is not what was wanted, nothing is committed.
    conditional.check(request, version=stored.version - 1 or None)
    await audit.record(tx, request, "product.put", sku, before=was, after=stored)
    answer = conditional.show(request, stored, version=stored.version)
    answer.status_code = HTTPStatus.CREATED if stored.version == 1 else HTTPStatus.OK
    return answer


router = Router("/v1/products", route_handlers=[get_product, put_product], tags=["products"])
