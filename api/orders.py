"""Orders over HTTP: place, read, list, follow and cancel."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import MediaType, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter, RawBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, idempotency, pages
from api.acceptance import Acceptance
from api.authentication import Asked
from api.fields import DiscountCode, Email, MomentInQuery, PaymentMethod, moment
from api.links import LinkedOrder, link
from api.problems import InvalidRequest
from api.strict import NO_CARD_NUMBERS
from db import events, operations, orders, snapshots, tasks
from db.engine import name_commit
from db.events import TimelineEntry
from db.ids import new_id
from db.orders import Filter, OrderView
from db.placements import Placement
from domain import claim, funds, order
from domain.actor import actor_of
from domain.address import Destination
from domain.cart import CODES_MAX
from domain.catalogue import Sku
from domain.discount import normal
from domain.event import CancelReason
from domain.money import AMOUNT_MINOR_MAX, Currency
from domain.order import Change, Order
from domain.payment import Capture, OnDecline
from domain.principal import Role
from domain.status import Status
from domain.task import Queue
from domain.variant import Item
from ops.config import Settings
from ops.telemetry import logs, trace
from ops.telemetry.faultpoint import Commit

# A wholesaler's longest real order has a thousand lines, its largest position tens of thousands.
LINES_MAX = 2000
QUANTITY_MAX = 1_000_000

# Long enough to try another card, short enough not to keep goods from others for more than a month.
RESERVE_FOR_S_MIN = 60
RESERVE_FOR_S_MAX = 2_592_000


# A body that says nothing.
_NOTHING = {b"", b"{}"}


class OrderItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A position; the SKU stands in one position only."""

    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]


ReserveFor = Annotated[int, Meta(ge=RESERVE_FOR_S_MIN, le=RESERVE_FOR_S_MAX)]
AllowSplit = Annotated[bool, Meta(description="in several parcels, if need be")]
ExpectedTotal = Annotated[
    int,
    Meta(
        ge=0,
        le=AMOUNT_MINOR_MAX,
        description="What the customer was shown; an order that costs something else is refused.",
    ),
]


class PlaceOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a customer asks for; prices and totals are ours.

    What is left out is left out of the fingerprint, so that keys outlive new fields.
    """

    email: Email
    currency: Currency
    lines: Annotated[list[OrderItem], Meta(min_length=1, max_length=LINES_MAX)]
    payment_method: PaymentMethod
    ship_to: Destination
    capture: Annotated[Capture, Meta(description="automatic or manual")] = Capture.AUTOMATIC
    on_decline: Annotated[OnDecline, Meta(description="cancel or hold")] = OnDecline.CANCEL
    reserve_for_s: ReserveFor | None = None
    allow_split: AllowSplit = False
    discount_codes: Annotated[list[DiscountCode], Meta(max_length=CODES_MAX)] = []
    expected_total_minor: ExpectedTotal | None = None


class OrderPage(msgspec.Struct, frozen=True):
    """Orders, newest first; the Link header names the next page."""

    orders: list[LinkedOrder]


class Timeline(msgspec.Struct, frozen=True):
    """What happened to an order, oldest first."""

    events: list[TimelineEntry]


@post(
    "/",
    status_code=HTTPStatus.ACCEPTED,
    media_type=MediaType.JSON,
    dependencies={"key": Provide(idempotency.provide_key)},
    responses=idempotency.accepted(OrderView),
    opt={NO_CARD_NUMBERS: True},
)
async def place_order(
    request: Asked,
    data: JSONBody[PlaceOrder],
    acceptance: NamedDependency[Acceptance],
    key: NamedDependency[str],
) -> Response[bytes]:
    """Accept an order; the same Idempotency-Key gets the same answer, byte for byte."""
    settings: Settings = request.app.state.settings
    placement = Placement(
        order_id=new_id(),
        user_id=request.user.user_id,
        # Of all others the timeline presumes it: it is written as often as orders come.
        actor=actor_of(request.user) if request.user.user_id else None,
        scope=idempotency.scope_of(request.user),
        key=key,
        fingerprint=idempotency.fingerprint("POST /v1/orders", data),
        email=data.email,
        currency=data.currency,
        items=[Item(line.sku, line.quantity) for line in data.lines],
        payment_method=data.payment_method,
        ship_to=data.ship_to,
        traceparent=trace.current(),
        capture=data.capture,
        on_decline=data.on_decline,
        reserve_for_s=data.reserve_for_s or settings.reservation_s,
        allow_split=data.allow_split,
        codes=list(dict.fromkeys(map(normal, data.discount_codes))),
        expected_total_minor=data.expected_total_minor,
    )
    return await accepted(request, acceptance, placement)


async def accepted(request: Asked, acceptance: Acceptance, placement: Placement) -> Response[bytes]:
    """Answer with the order, and with the token that opens it if no account has it."""
    answer = await acceptance.accept(placement)
    logs.bind(order_id=answer.order_id)
    response = idempotency.respond(answer, f"/v1/orders/{answer.order_id}")
    if answer.claimable:
        # Without a token nobody but staff sees the order; the first one writes.
        for secret in request.app.state.claim_keys[:1]:
            response.set_header(claim.HEADER, claim.write(answer.order_id, secret))
    return response


@get("/{order_id:uuid}")
async def get_order(
    request: Asked, tx: NamedDependency[AsyncConnection], order_id: FromPath[UUID]
) -> LinkedOrder:
    """Read an order; its links name what you may do with it now."""
    # Else the links could be of another status than the one that is shown.
    await snapshots.hold(tx)
    [linked] = await link(request, tx, [await orders.get(tx, order_id)])
    return linked


@get("/")
async def list_orders(  # noqa: PLR0913, PLR0917 - one parameter per filter
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    status: Annotated[Status | None, QueryParameter()] = None,
    email: Annotated[str | None, QueryParameter(min_length=1, max_length=254)] = None,
    created_from: MomentInQuery = None,
    created_before: MomentInQuery = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[OrderPage]:
    """List orders, newest first: one's own, and all of them for staff."""
    wanted = Filter(
        status,
        email,
        created_from=moment(created_from, field="created_from"),
        created_before=moment(created_before, field="created_before"),
        user_id=None if request.user.is_staff else request.user.user_id,
    )
    before = None if cursor is None else pages.decode(cursor)
    await snapshots.hold(tx)
    found = await orders.page(tx, wanted, before=before, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, shown[-1].id) if len(found) > limit else {}
    return Response(OrderPage(await link(request, tx, shown)), headers=headers)


@get("/{order_id:uuid}/events")
async def list_events(
    request: Asked, tx: NamedDependency[AsyncConnection], order_id: FromPath[UUID]
) -> Timeline:
    """Follow an order's timeline; staff sees who caused what, too."""
    await orders.get(tx, order_id)
    told = await events.page(tx, order_id)
    if not request.user.is_staff:
        told = [msgspec.structs.replace(entry, actor=None) for entry in told]
    return Timeline(told)


@post("/{order_id:uuid}/cancel", status_code=HTTPStatus.OK)
async def cancel_order(
    request: Asked, body: RawBody, tx: NamedDependency[AsyncConnection], order_id: FromPath[UUID]
) -> OrderView:
    """Cancel an order that has not shipped; what was paid goes back. Again is the same."""
    if body.strip() not in _NOTHING:
        raise InvalidRequest("A cancellation takes no body: send none.")

    reason = CancelReason.STAFF if request.user.is_staff else CancelReason.CUSTOMER
    before = list[Status]()

    def decide(was: Order) -> Change | None:
        if was.status is Status.CANCELLED:
            return None
        before.append(was.status)
        return order.cancel(was, reason=reason)

    name_commit(tx, Commit.CANCEL)
    if request.user.role is Role.SUPPORT:
        await _refuse_above_limit(request, tx, order_id)
    await orders.change(tx, order_id, decide)
    for status in before:
        facts = {"status": status}, {"status": Status.CANCELLED, "cancel_reason": reason}
        await audit.record(tx, request, "order.cancel", order_id, before=facts[0], after=facts[1])
    # A charge whose outcome is open is asked after now: it is not wanted any more.
    await tasks.hurry(tx, [order_id], Queue.PAYMENTS)
    return await orders.get(tx, order_id)


async def _refuse_above_limit(request: Asked, tx: AsyncConnection, order_id: UUID) -> None:
    """Have support give back no more by a cancellation than by refunds; raises RefundAboveLimit."""
    settings: Settings = request.app.state.settings
    found = await operations.lock(tx, order_id)
    if found.order.status is not Status.CANCELLED:
        funds.refuse_ending_above(found.payable, limit_minor=settings.support_refund_max_minor)


router = Router(
    "/v1/orders",
    route_handlers=[place_order, get_order, list_orders, list_events, cancel_order],
    tags=["orders"],
)
