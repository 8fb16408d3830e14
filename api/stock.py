"""Stock over HTTP: read and put by staff."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import conditional
from api.fields import SkuInPath
from api.staff import STAFF, staff_only
from db import products, stock
from db.stock import StockLevel
from domain.refusal import NotFound

ON_HAND_MAX = 1_000_000_000


class PutStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is on the shelves, including what orders hold."""

    on_hand: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)]


@get("/{sku:str}", guards=[staff_only], security=STAFF)
async def get_stock(
    request: Request[Any, Any, Any], tx: NamedDependency[AsyncConnection], sku: SkuInPath
) -> Response[StockLevel]:
    """Read the stock of a product."""
    found = await stock.find(tx, sku)
    if found is None:
        raise NotFound(f"There is no stock of {sku}.")
    return conditional.show(request, found, version=found.version)


@put("/{sku:str}", guards=[staff_only], security=STAFF)
async def put_stock(
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    data: JSONBody[PutStock],
) -> Response[StockLevel]:
    """Set what is on hand of a product; never less than orders hold."""
    if await products.find(tx, sku) is None:
        raise NotFound(f"There is no product {sku}: put it first.")
    found = await stock.lock_level(tx, sku)
    conditional.check(request, version=found and found.version)
    level = await stock.put(tx, sku, data.on_hand)
    return conditional.show(request, level, version=level.version)


router = Router("/v1/stock", route_handlers=[get_stock, put_stock], tags=["stock"])
