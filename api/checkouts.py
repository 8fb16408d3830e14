"""Checkouts over HTTP: what is in a cart becomes an order, once, at what its customer was shown."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import MediaType, Response, Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from api import idempotency, orders
from api.acceptance import Acceptance
from api.authentication import Asked
from api.carts import provide_holder
from api.conditional import wanted_versions
from api.fields import Email, PaymentMethod
from api.orders import AllowSplit, ExpectedTotal, ReserveFor
from api.strict import NO_CARD_NUMBERS
from db.carts import CartClaim, Holder
from db.ids import new_id
from db.orders import OrderView
from db.placements import Placement
from domain.actor import actor_of
from domain.address import Destination
from domain.payment import Capture, OnDecline
from ops.config import Settings
from ops.telemetry import trace


class CheckOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Whose order it becomes; what is ordered stands in the cart.

    `expected_total_minor` is the total that the customer was shown for this address.
    """

    email: Email
    payment_method: PaymentMethod
    ship_to: Destination
    expected_total_minor: ExpectedTotal
    capture: Annotated[Capture, Meta(description="automatic or manual")] = Capture.AUTOMATIC
    on_decline: Annotated[OnDecline, Meta(description="cancel or hold")] = OnDecline.CANCEL
    reserve_for_s: ReserveFor | None = None
    allow_split: AllowSplit = False


@post(
    "/{cart_id:uuid}/checkout",
    status_code=HTTPStatus.ACCEPTED,
    media_type=MediaType.JSON,
    dependencies={"key": Provide(idempotency.provide_key)},
    responses=idempotency.accepted(OrderView),
    opt={NO_CARD_NUMBERS: True},
)
async def check_out(  # noqa: PLR0913, PLR0917 - who, what and how often
    request: Asked,
    data: JSONBody[CheckOut],
    acceptance: NamedDependency[Acceptance],
    key: NamedDependency[str],
    holder: NamedDependency[Holder],
    cart_id: FromPath[UUID],
) -> Response[bytes]:
    """Order what is in a cart, which is closed by that; clicked twice, it is one order.

    Under another key, too, the cart's first order is the answer. What costs something else than
    `expected_total_minor` by now is refused with what it costs (`total_changed`).
    """
    settings: Settings = request.app.state.settings
    # The token is part of the request: without it nobody has the same answer.
    asked = (cart_id, holder.token_hash, data)
    placement = Placement(
        order_id=new_id(),
        user_id=request.user.user_id,
        actor=actor_of(request.user) if request.user.user_id else None,
        scope=idempotency.scope_of(request.user),
        key=key,
        fingerprint=idempotency.fingerprint("POST /v1/carts/checkout", asked),
        email=data.email,
        currency="",
        items=(),
        payment_method=data.payment_method,
        ship_to=data.ship_to,
        traceparent=trace.current(),
        capture=data.capture,
        on_decline=data.on_decline,
        reserve_for_s=data.reserve_for_s or settings.reservation_s,
        allow_split=data.allow_split,
        expected_total_minor=data.expected_total_minor,
        cart=CartClaim(cart_id, holder, wanted_versions(request)),
    )
    return await orders.accepted(request, acceptance, placement)


router = Router(
    "/v1/carts",
    dependencies={"holder": Provide(provide_holder)},
    route_handlers=[check_out],
    tags=["carts"],
)
