"""Looking up over HTTP: an open payment is asked after now, and not when it would be its turn."""

from http import HTTPStatus
from uuid import UUID

import msgspec
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit
from api.authentication import Asked
from db import operations, tasks
from db.engine import name_commit
from domain.funds import OPEN
from domain.order import IllegalMove
from domain.task import Queue
from ops.telemetry.faultpoint import Commit


class LookedUp(msgspec.Struct, frozen=True):
    """The attempt that is asked after."""

    order_id: UUID
    attempt_id: UUID
    operation: str
    state: str


@post("/{order_id:uuid}/lookup", status_code=HTTPStatus.OK)
async def look_up(
    request: Asked, tx: NamedDependency[AsyncConnection], order_id: FromPath[UUID]
) -> LookedUp:
    """Have a payment whose outcome is open looked up now; nothing is charged a second time.

    Its task is only brought forward, and one that a worker is just busy with is left to it.
    """
    name_commit(tx, Commit.TASK)
    found = await operations.lock(tx, order_id)
    attempt = found.payable.unsettled()
    if attempt is None or attempt.state not in OPEN:
        raise IllegalMove("No payment of this order is open: there is nothing to look up.")
    await tasks.hurry(tx, [order_id], Queue.PAYMENTS)
    looked_up = LookedUp(order_id, attempt.id, attempt.kind.value, attempt.state.value)
    await audit.record(tx, request, "order.look_up", order_id, after=looked_up)
    return looked_up


router = Router("/v1/orders", route_handlers=[look_up], tags=["payments"])
