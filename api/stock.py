"""Stock over HTTP: read, put, adjusted and counted by staff, in all or by location."""

from datetime import date
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import MediaType, Request, Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional, idempotency, pages
from api.authentication import Asked
from api.fields import SkuInPath
from api.idempotency import Once
from api.openapi import answered
from api.problems import InvalidRequest
from db import levels, locations, movements, stock, stock_events, variants
from db.engine import name_commit
from db.ids import new_id
from db.levels import Stock
from db.movements import Movement
from db.stock import Terms
from db.stock_events import StockEvent
from domain.catalogue import Slug
from domain.moment import refuse_far
from domain.refusal import NotFound
from domain.stock import ON_HAND_MAX
from domain.text import ON_ONE_LINE, ONE_LINE
from ops.telemetry.faultpoint import Commit

Quantity = Annotated[int, Meta(ge=1, le=ON_HAND_MAX)]
Reason = Annotated[
    str, Meta(min_length=1, max_length=500, pattern=ONE_LINE, description=ON_ONE_LINE)
]
Place = Annotated[Slug, Meta(description="the code of a location; null is at no location")]


class PutStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is on the shelves in all, including what orders hold; what changes is at no location."""

    on_hand: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)]


class AdjustStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much more there is, or less if it is negative, and why."""

    delta: Annotated[int, Meta(ge=-ON_HAND_MAX, le=ON_HAND_MAX, description="not 0")]
    reason: Reason
    location: Place | None = None


class CountStock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was counted there, including what orders hold.

    With `shown`, what was said to be on hand when counting began, only the difference counts: what
    orders took while somebody counted stays taken.
    """

    counted: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)]
    shown: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)] | None = None
    reason: Reason | None = None
    location: Place | None = None


class PutThreshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is for sale at which a SKU counts as low; null only once it is sold out."""

    low_at: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)] | None


class PutBackorders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many units may be promised beyond what there is; 0 is none.

    `available_from` tells customers from when on there is some, as for a preorder.
    """

    max: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)]
    available_from: date | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a day that cannot be meant."""
        refuse_far(available_from=self.available_from)


class Threshold(msgspec.Struct, frozen=True):
    """From what on a SKU is low."""

    sku: str
    low_at: int | None


class MovementList(msgspec.Struct, frozen=True):
    """What people did to the stock of a SKU, newest first; the Link header leads to older ones."""

    movements: list[Movement]


class StockEventList(msgspec.Struct, frozen=True):
    """What became low, or was replenished, newest first; the Link header leads to older ones."""

    events: list[StockEvent]


@get("/{sku:str}")
async def get_stock(
    request: Request[Any, Any, Any], tx: NamedDependency[AsyncConnection], sku: SkuInPath
) -> Response[Stock]:
    """Read the stock of a product, in all and by location."""
    found = await levels.get(tx, sku)
    return conditional.show(request, found, version=found.version)


@put(
    "/{sku:str}",
    responses={HTTPStatus.CREATED: answered(Stock, "Created.")},
)
async def put_stock(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    data: JSONBody[PutStock],
) -> Response[Stock]:
    """Set what is on hand of a product; never less than orders hold."""
    if await variants.find(tx, sku) is None:
        raise NotFound(f"There is no product {sku}: put it first.")
    name_commit(tx, Commit.STOCK)
    was = await stock.find(tx, sku, lock=True)
    level = await stock.put(tx, sku, data.on_hand, actor=request.user.user_id)
    # What it replaced is known only now. If that is not what was wanted, nothing is committed.
    conditional.check(request, version=level.version - 1 or None)
    await audit.record(tx, request, "stock.put", sku, before=was, after=level)
    answer = conditional.show(request, await levels.get(tx, sku), version=level.version)
    answer.status_code = HTTPStatus.CREATED if level.version == 1 else HTTPStatus.OK
    return answer


@post(
    "/{sku:str}/adjustments",
    status_code=HTTPStatus.ACCEPTED,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(Stock),
)
async def adjust_stock(
    once: NamedDependency[Once], sku: SkuInPath, data: JSONBody[AdjustStock]
) -> Response[bytes]:
    """Change what is on hand by so much, for a reason that is kept; once per Idempotency-Key."""
    if data.delta == 0:
        raise InvalidRequest("Nothing would change: send another number.", field="delta")

    async def act(tx: AsyncConnection) -> Stock:
        name_commit(tx, Commit.STOCK)
        at = await locations.find_id(tx, data.location)
        actor = once.request.user.user_id
        level = await stock.adjust(
            tx, sku, data.delta, note=data.reason, actor=actor, location_id=at
        )
        before = {"on_hand": level.on_hand - data.delta}
        after = {"on_hand": level.on_hand, **msgspec.to_builtins(data)}
        await audit.record(tx, once.request, "stock.adjust", sku, before=before, after=after)
        return await levels.get(tx, sku)

    # Named again, as the key's path is compared without regard to case.
    return await once.answer(new_id(), (sku, data), act, location=f"/v1/stock/{sku}")


@post(
    "/{sku:str}/counts",
    status_code=HTTPStatus.ACCEPTED,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(Stock),
)
async def count_stock(
    once: NamedDependency[Once], sku: SkuInPath, data: JSONBody[CountStock]
) -> Response[bytes]:
    """Set what was counted at a location, or at none; once per Idempotency-Key."""

    async def act(tx: AsyncConnection) -> Stock:
        name_commit(tx, Commit.STOCK)
        at = await locations.find_id(tx, data.location)
        actor = once.request.user.user_id
        await stock.count(
            tx,
            sku,
            data.counted,
            shown=data.shown,
            actor=actor,
            note=data.reason,
            location_id=at,
        )
        await audit.record(tx, once.request, "stock.count", sku, after=data)
        return await levels.get(tx, sku)

    return await once.answer(new_id(), (sku, data), act, location=f"/v1/stock/{sku}")


@put("/{sku:str}/threshold")
async def put_threshold(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    data: JSONBody[PutThreshold],
) -> Threshold:
    """Say from what on a SKU is low, which is told once: GET /v1/stock-events."""
    name_commit(tx, Commit.STOCK)
    was = await stock.set_threshold(tx, sku, data.low_at)
    if was != data.low_at:
        facts = {"low_at": was}, {"low_at": data.low_at}
        await audit.record(tx, request, "stock.set_threshold", sku, before=facts[0], after=facts[1])
    return Threshold(sku, data.low_at)


@put("/{sku:str}/backorders")
async def put_backorders(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    data: JSONBody[PutBackorders],
) -> Stock:
    """Say how much of a SKU may be promised beyond what there is; promises made already stand."""
    name_commit(tx, Commit.STOCK)
    terms = Terms(data.max, data.available_from)
    was = await stock.set_terms(tx, sku, terms)
    if was != terms:
        await audit.record(tx, request, "stock.set_backorders", sku, before=was, after=terms)
    return await levels.get(tx, sku)


@get("/{sku:str}/movements")
async def list_movements(
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[MovementList]:
    """List what people did to the stock of a SKU, newest first."""
    before = None if cursor is None else pages.decode_number(cursor)
    found = await movements.page(tx, sku, before=before, limit=limit + 1)
    shown = list(found[:limit])
    headers = pages.link(request, UUID(int=shown[-1].version)) if len(found) > limit else {}
    return Response(MovementList(shown), headers=headers)


@get("/v1/stock-events", tags=["stock"])
async def list_stock_events(
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[StockEventList]:
    """List which SKUs became low, each time once, and which were replenished, newest first."""
    before = None if cursor is None else pages.decode_number(cursor)
    found = await stock_events.page(tx, before=before, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, UUID(int=shown[-1].id)) if len(found) > limit else {}
    return Response(StockEventList(shown), headers=headers)


router = Router(
    "/v1/stock",
    route_handlers=[
        get_stock,
        put_stock,
        adjust_stock,
        count_stock,
        put_threshold,
        put_backorders,
        list_movements,
    ],
    tags=["stock"],
)
