"""Stock over HTTP: read and put by staff."""

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
from db import products, stock
from db.engine import name_commit
from db.stock import StockLevel
from domain.refusal import NotFound
from ops.telemetry.faultpoint import Commit

ON_HAND_MAX = 1_000_000_000


class PutStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is on the shelves, including what orders hold."""

    on_hand: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)]


@get("/{sku:str}")
async def get_stock(
    request: Request[Any, Any, Any], tx: NamedDependency[AsyncConnection], sku: SkuInPath
) -> Response[StockLevel]:
    """Read the stock of a product."""
    found = await stock.find(tx, sku)
    if found is None:
        raise NotFound(f"There is no stock of {sku}.")
    return conditional.show(request, found, version=found.version)


@put(
    "/{sku:str}",
    responses={HTTPStatus.CREATED: ResponseSpec(StockLevel, description="Created.")},
)
async def put_stock(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    data: JSONBody[PutStock],
) -> Response[StockLevel]:
    """Set what is on hand of a product; never less than orders hold."""
    if await products.find(tx, sku) is None:
        raise NotFound(f"There is no product {sku}: put it first.")
    name_commit(tx, Commit.STOCK)
    was = await stock.find(tx, sku)
    level = await stock.put(tx, sku, data.on_hand)
    # What it replaced is known only now. If that is not what was wanted, nothing is committed.
    conditional.check(request, version=level.version - 1 or None)
    await audit.record(tx, request, "stock.put", sku, before=was, after=level)
    answer = conditional.show(request, level, version=level.version)
    answer.status_code = HTTPStatus.CREATED if level.version == 1 else HTTPStatus.OK
    return answer


router = Router("/v1/stock", route_handlers=[get_stock, put_stock], tags=["stock"])
