"""Claims over HTTP: an order that was placed without an account becomes one's own."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit
from api.authentication import Asked
from api.problems import Forbidden
from db import orders
from db.engine import name_commit
from db.orders import OrderView
from domain import claim
from domain.refusal import NotFound
from ops.telemetry.faultpoint import Commit

_TOKEN_CHARS_MAX = 200


class ClaimOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came with the acceptance in the header Order-Claim-Token."""

    claim_token: Annotated[str, Meta(min_length=1, max_length=_TOKEN_CHARS_MAX)]


@post("/{order_id:uuid}/claim", status_code=HTTPStatus.OK)
async def claim_order(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    order_id: FromPath[UUID],
    data: JSONBody[ClaimOrder],
) -> OrderView:
    """Take an order into one's account; from then on its claim token opens nothing more."""
    name_commit(tx, Commit.CLAIM)
    user_id = request.user.user_id
    if user_id is None:
        raise Forbidden("Log in: an order belongs to an account.")
    opened = claim.read(data.claim_token, request.app.state.claim_keys)
    if opened != order_id or not await orders.claim(tx, order_id, user_id):
        raise NotFound(f"There is no order {order_id}.")
    await audit.record(tx, request, "order.claim", order_id)
    return await orders.get(tx, order_id)


router = Router("/v1/orders", route_handlers=[claim_order], tags=["orders"])
