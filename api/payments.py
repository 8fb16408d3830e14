"""The money of an order over HTTP: what was moved, captures, refunds and voids."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import MediaType, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, idempotency
from api.authentication import Asked
from api.fields import PaymentMethod
from api.idempotency import Once
from api.strict import NO_CARD_NUMBERS
from db import operations, orders, payments
from db.engine import name_commit
from db.ids import new_id
from db.orders import OrderView
from db.payments import AttemptView
from domain import funds, settlement
from domain.funds import Attempt, AttemptKind, AttemptState, Payable
from domain.money import AMOUNT_MINOR_MAX, Currency
from domain.payment import RefundReason
from domain.principal import Role
from domain.task import Kind
from ops.config import Settings
from ops.telemetry.faultpoint import Commit

Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]

_REASONS = "requested_by_customer, duplicate or fraudulent"
_COMMITS = {
    AttemptKind.CAPTURE: Commit.CAPTURE,
    AttemptKind.REFUND: Commit.REFUND,
    AttemptKind.VOID: Commit.VOID,
}


class CaptureMoney(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is left, if no amount is given; after the `final` one the rest is released."""

    amount_minor: Amount | None = None
    final: bool = False


class RefundMoney(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that was captured and not refunded, if no amount is given."""

    reason: Annotated[RefundReason, Meta(description=_REASONS)]
    amount_minor: Amount | None = None
    currency: Currency | None = None


class VoidMoney(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is authorized and not captured."""


class ChangeMethod(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token of the gateway for another payment method."""

    payment_method: PaymentMethod


class Payments(msgspec.Struct, frozen=True):
    """Every attempt, oldest first, and what they come to in minor units.

    `capturable_minor` and `refundable_minor` are what may still be asked for.
    """

    order_id: UUID
    currency: str
    total_minor: int
    authorized_minor: int
    captured_minor: int
    refunded_minor: int
    capturable_minor: int
    refundable_minor: int
    attempts: list[AttemptView]


@get("/{order_id:uuid}/payments")
async def list_payments(
    request: Asked, tx: NamedDependency[AsyncConnection], order_id: FromPath[UUID]
) -> Payments:
    """Show the money of an order; the secret for 3-D Secure is shown to the customer only."""
    order = await orders.get(tx, order_id)
    attempts = await payments.page(tx, order_id)
    sums = funds.funds([_attempt(view) for view in attempts])
    return Payments(
        order_id,
        order.currency,
        order.total_minor,
        sums.authorized,
        sums.captured,
        sums.refunded,
        sums.capturable,
        sums.refundable,
        [_shown(view, owner=not request.user.is_staff) for view in attempts],
    )


def _attempt(view: AttemptView) -> Attempt:
    kind, state = AttemptKind(view.kind), AttemptState(view.state)
    return Attempt(view.id, kind, state, view.amount_minor, view.gateway, final=view.final)


def _shown(view: AttemptView, *, owner: bool) -> AttemptView:
    if owner and view.state == AttemptState.ACTION_REQUIRED:
        return view
    return msgspec.structs.replace(view, client_secret=None)


_moves_money = partial(
    post,
    status_code=HTTPStatus.ACCEPTED,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(AttemptView),
)


@_moves_money("/{order_id:uuid}/capture")
async def capture_money(
    once: NamedDependency[Once], order_id: FromPath[UUID], data: JSONBody[CaptureMoney]
) -> Response[bytes]:
    """Take what is authorized, whole or in parts."""

    def ask(payable: Payable, attempt_id: UUID) -> Attempt:
        return funds.ask_capture(
            payable, attempt_id, amount_minor=data.amount_minor, final=data.final
        )

    return await _move(once, order_id, data, AttemptKind.CAPTURE, ask)


@_moves_money("/{order_id:uuid}/refunds")
async def refund_money(
    once: NamedDependency[Once], order_id: FromPath[UUID], data: JSONBody[RefundMoney]
) -> Response[bytes]:
    """Give back what was captured, whole or in parts."""

    def ask(payable: Payable, attempt_id: UUID) -> Attempt:
        funds.refuse_other_currency(payable, data.currency)
        asked = funds.ask_refund(
            payable, attempt_id, amount_minor=data.amount_minor, reason=data.reason
        )
        if once.request.user.role is Role.SUPPORT:
            settings: Settings = once.request.app.state.settings
            funds.refuse_above(payable, asked, limit_minor=settings.support_refund_max_minor)
        return asked

    return await _move(once, order_id, data, AttemptKind.REFUND, ask)


@_moves_money("/{order_id:uuid}/void")
async def void_money(
    once: NamedDependency[Once], order_id: FromPath[UUID], data: JSONBody[VoidMoney]
) -> Response[bytes]:
    """Release what is authorized and not captured."""
    return await _move(once, order_id, data, AttemptKind.VOID, funds.ask_void)


async def _move(
    once: Once,
    order_id: UUID,
    data: object,
    kind: AttemptKind,
    ask: Callable[[Payable, UUID], Attempt],
) -> Response[bytes]:
    """Ask for one more movement of money; the gateway is called by a worker."""

    async def act(tx: AsyncConnection) -> AttemptView:
        name_commit(tx, _COMMITS[kind])
        found = await operations.lock(tx, order_id)
        settlement.refuse_unpaid(found.order, kind)
        asked = ask(found.payable, new_id())
        change = settlement.request(found.order, asked, actor="staff")
        await payments.insert(tx, [(found.payable, asked)])
        await orders.change_many(tx, {order_id: found.order}, [change])
        views = await payments.page(tx, order_id)
        asked_for = next(view for view in views if view.id == asked.id)
        await audit.record(
            tx,
            once.request,
            f"order.{kind}",
            order_id,
            before=funds.funds(found.payable.attempts),
            after=asked_for,
        )
        return asked_for

    location = f"/v1/orders/{order_id}/payments"
    return await once.answer(order_id, data, act, location=location)


@post(
    "/{order_id:uuid}/payment-method",
    status_code=HTTPStatus.ACCEPTED,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(OrderView),
    opt={NO_CARD_NUMBERS: True},
)
async def change_method(
    once: NamedDependency[Once], order_id: FromPath[UUID], data: JSONBody[ChangeMethod]
) -> Response[bytes]:
    """Charge a declined order, while it is held, to another payment method."""

    async def act(tx: AsyncConnection) -> OrderView:
        name_commit(tx, Commit.METHOD)
        found = await operations.lock(tx, order_id)
        charging = await operations.has_open(tx, order_id, Kind.CHARGE)
        change = settlement.change_method(
            found.order, found.payable, charging=charging, now=found.now
        )
        await orders.set_payment_method(tx, order_id, data.payment_method)
        await orders.change_many(tx, {order_id: found.order}, [change])
        # Neither the token of the old method nor that of the new one is for a log.
        await audit.record(tx, once.request, "order.change_payment_method", order_id)
        return await orders.get(tx, order_id)

    location = f"/v1/orders/{order_id}"
    return await once.answer(order_id, data, act, location=location)


router = Router(
    "/v1/orders",
    route_handlers=[list_payments, capture_money, refund_money, void_money, change_method],
    tags=["payments"],
)
