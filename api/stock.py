"""Stock over HTTP: read and put by staff."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional, idempotency
from api.authentication import Asked
from api.fields import SkuInPath
from api.idempotency import Once
from api.problems import InvalidRequest
from db import stock, variants
from db.engine import name_commit
from db.ids import new_id
from db.stock import StockLevel
from domain.refusal import NotFound
from domain.stock import ON_HAND_MAX
from domain.text import ON_ONE_LINE, ONE_LINE
from ops.telemetry.faultpoint import Commit


class PutStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is on the shelves, including what orders hold."""

    on_hand: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)]


class AdjustStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much more there is, or less if it is negative, and why."""

    delta: Annotated[int, Meta(ge=-ON_HAND_MAX, le=ON_HAND_MAX, description="not 0")]
    reason: Annotated[
        str, Meta(min_length=1, max_length=500, pattern=ONE_LINE, description=ON_ONE_LINE)
    ]


class PutThreshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is for sale at which a SKU counts as low; null only once it is sold out."""

    low_at: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)] | None


class Threshold(msgspec.Struct, frozen=True):
    """From what on a SKU is low."""

    sku: str
    low_at: int | None


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
    if await variants.find(tx, sku) is None:
        raise NotFound(f"There is no product {sku}: put it first.")
    name_commit(tx, Commit.STOCK)
    was = await stock.find(tx, sku)
    level = await stock.put(tx, sku, data.on_hand, actor=request.user.user_id)
    # What it replaced is known only now. If that is not what was wanted, nothing is committed.
    conditional.check(request, version=level.version - 1 or None)
    await audit.record(tx, request, "stock.put", sku, before=was, after=level)
    answer = conditional.show(request, level, version=level.version)
    answer.status_code = HTTPStatus.CREATED if level.version == 1 else HTTPStatus.OK
    return answer


@post(
    "/{sku:str}/adjustments",
    status_code=HTTPStatus.ACCEPTED,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(StockLevel),
)
async def adjust_stock(
    once: NamedDependency[Once], sku: SkuInPath, data: JSONBody[AdjustStock]
) -> Response[bytes]:
    """Change what is on hand by so much, for a reason that is kept; once per Idempotency-Key."""
    if data.delta == 0:
        raise InvalidRequest("Nothing would change: send another number.", field="delta")

    async def act(tx: AsyncConnection) -> StockLevel:
        name_commit(tx, Commit.STOCK)
        actor = once.request.user.user_id
        level = await stock.adjust(tx, sku, data.delta, note=data.reason, actor=actor)
        before = {"on_hand": level.on_hand - data.delta}
        after = {"on_hand": level.on_hand, "reason": data.reason}
        await audit.record(tx, once.request, "stock.adjust", sku, before=before, after=after)
        return level

    # Named again, as the key's path is compared without regard to case.
    return await once.answer(new_id(), (sku, data), act, location=f"/v1/stock/{sku}")


@put("/{sku:str}/threshold")
async def put_threshold(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    data: JSONBody[PutThreshold],
) -> Threshold:
    """Say from what on a SKU is shown as low."""
    name_commit(tx, Commit.STOCK)
    was = await stock.set_threshold(tx, sku, data.low_at)
    if was != data.low_at:
        facts = {"low_at": was}, {"low_at": data.low_at}
        await audit.record(tx, request, "stock.set_threshold", sku, before=facts[0], after=facts[1])
    return Threshold(sku, data.low_at)


router = Router(
    "/v1/stock",
    route_handlers=[get_stock, put_stock, adjust_stock, put_threshold],
    tags=["stock"],
)
