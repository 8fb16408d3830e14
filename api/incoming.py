"""What is to come of a SKU over HTTP: expected, received, cancelled; and transfers, by staff."""

from collections.abc import Awaitable, Callable
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, idempotency
from api.authentication import Asked
from api.fields import SkuInPath
from api.idempotency import Once
from api.problems import InvalidRequest
from api.stock import Place, Quantity, Reason
from db import incoming, levels, locations, transfers
from db.engine import name_commit
from db.ids import new_id
from db.incoming import Expected, Incoming
from db.levels import Stock
from db.transfers import Consignment, Route
from domain.moment import refuse_far
from domain.stock import Cause, Moving
from ops.telemetry.faultpoint import Commit


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much is to come, when and where, if anybody knows; customers that wait see the day."""

    quantity: Quantity
    expected_on: date | None = None
    location: Place | None = None
    note: Reason | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a day that cannot be meant."""
        refuse_far(expected_on=self.expected_on)


class Receive(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much came in; with `incoming`, the id of what was to come, it is there that it came.

    More may come than was expected, but not of what was sent from another location.
    """

    quantity: Quantity
    incoming: UUID | None = None
    location: Place | None = None
    reason: Reason | None = None


class Transfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much goes from where to where, and why.

    With `expected_on` it is to come there, and belongs to no shelf until it is received.
    """

    quantity: Quantity
    reason: Reason
    source: Place | None = None
    target: Place | None = None
    expected_on: Annotated[date, Meta(description="for what is not there at once")] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a day that cannot be meant."""
        refuse_far(expected_on=self.expected_on)


class IncomingList(msgspec.Struct, frozen=True):
    """What is to come of a SKU, the soonest first."""

    incoming: list[Incoming]


_ANSWERS: dict[str, Any] = {
    "status_code": HTTPStatus.ACCEPTED,
    "media_type": MediaType.JSON,
    "dependencies": idempotency.ONCE,
    "responses": idempotency.accepted(Stock),
}


@get("/{sku:str}/incoming")
async def list_incoming(
    request: Request[Any, Any, Any], tx: NamedDependency[AsyncConnection], sku: SkuInPath
) -> IncomingList:
    """List what is to come of a SKU."""
    del request
    return IncomingList(list(await incoming.page(tx, sku)))


@post(
    "/{sku:str}/incoming",
    status_code=HTTPStatus.ACCEPTED,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(Incoming),
)
async def expect_stock(
    once: NamedDependency[Once], sku: SkuInPath, data: JSONBody[Expect]
) -> Response[bytes]:
    """Say that something is to come; once per Idempotency-Key."""

    async def act(tx: AsyncConnection) -> Incoming:
        name_commit(tx, Commit.STOCK)
        at = await locations.find_id(tx, data.location)
        wanted = Expected(data.quantity, data.expected_on, at, data.note)
        made = await incoming.insert(tx, sku, wanted)
        await audit.record(tx, once.request, "stock.expect", sku, after=made)
        return made

    return await once.answer(new_id(), (sku, data), act, location=f"/v1/stock/{sku}/incoming")


@post("/{sku:str}/receipts", **_ANSWERS)
async def receive_stock(
    once: NamedDependency[Once], sku: SkuInPath, data: JSONBody[Receive]
) -> Response[bytes]:
    """Put on hand what came in; orders that wait get theirs. Once per Idempotency-Key."""

    async def act(tx: AsyncConnection) -> None:
        at = await locations.find_id(tx, data.location)
        actor = once.request.user.user_id
        moving = Moving(Cause.RECEIPT, data.quantity, at, actor, data.reason, data.incoming)
        await incoming.receive(tx, sku, moving)

    return await _once(once, sku, "stock.receive", data, act)


@post("/{sku:str}/transfers", **_ANSWERS)
async def transfer_stock(
    once: NamedDependency[Once], sku: SkuInPath, data: JSONBody[Transfer]
) -> Response[bytes]:
    """Move what no order holds to another location; once per Idempotency-Key."""
    if data.source == data.target:
        raise InvalidRequest("It is there already: send another location.", field="target")

    async def act(tx: AsyncConnection) -> None:
        named = [code for code in (data.source, data.target) if code is not None]
        ids: dict[str | None, UUID] = {**await locations.hold(tx, named)}
        route = Route(ids.get(data.source), ids.get(data.target))
        actor = once.request.user.user_id
        what = Consignment(data.quantity, route, data.reason, actor)
        if data.expected_on is None:
            await transfers.transfer(tx, sku, what)
        else:
            await transfers.send(tx, sku, what, expected_on=data.expected_on)

    return await _once(once, sku, "stock.transfer", data, act)


@post("/v1/incoming/{incoming_id:uuid}/cancel", status_code=HTTPStatus.OK, tags=["stock"])
async def cancel_incoming(
    request: Asked, tx: NamedDependency[AsyncConnection], incoming_id: FromPath[UUID]
) -> Incoming:
    """Expect no more of it; what was sent from elsewhere is back there. Again is the same."""
    name_commit(tx, Commit.STOCK)
    was = await incoming.get(tx, incoming_id)
    cancelled = await incoming.cancel(tx, incoming_id, actor=request.user.user_id)
    if was != cancelled:
        await audit.record(tx, request, "incoming.cancel", incoming_id, before=was, after=cancelled)
    return cancelled


async def _once(
    once: Once,
    sku: str,
    action: str,
    data: msgspec.Struct,
    act: Callable[[AsyncConnection], Awaitable[None]],
) -> Response[bytes]:
    """Move stock once, write who did it, and answer what there is then."""

    async def moved(tx: AsyncConnection) -> Stock:
        name_commit(tx, Commit.STOCK)
        await act(tx)
        await audit.record(tx, once.request, action, sku, after=data)
        return await levels.get(tx, sku)

    # Named again, as the key's path is compared without regard to case.
    return await once.answer(new_id(), (sku, data), moved, location=f"/v1/stock/{sku}")


router = Router(
    "/v1/stock",
    route_handlers=[
        list_incoming,
        expect_stock,
        receive_stock,
        transfer_stock,
    ],
    tags=["stock"],
)
