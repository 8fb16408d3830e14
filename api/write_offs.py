"""Money that went back otherwise than by us, over HTTP: written off by staff."""

from functools import partial
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import MediaType, Response, Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, idempotency
from api.idempotency import Once
from api.payments import Amount
from api.strict import NO_CARD_NUMBERS
from db import backlog, ledger, operations, orders, payments
from db.engine import name_commit
from db.ids import new_id
from db.operations import Locked
from db.payments import AttemptView
from domain import write_off
from domain.funds import AttemptState
from domain.ledger import BY_HAND
from domain.payment import WITHDRAWN, Succeeded
from domain.text import ON_ONE_LINE, ONE_LINE
from domain.write_off import Means, WriteOff, Written
from ops.telemetry.faultpoint import Commit


class WriteMoneyOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What went back, how, and how one knows."""

    amount_minor: Amount
    means: Annotated[Means, Meta(description="gateway, bank_transfer or dispute")]
    note: Annotated[
        str, Meta(min_length=1, max_length=500, pattern=ONE_LINE, description=ON_ONE_LINE)
    ]


@post(
    "/{order_id:uuid}/write-off",
    status_code=202,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(AttemptView),
    opt={NO_CARD_NUMBERS: True},
)
async def write_money_off(
    once: NamedDependency[Once], order_id: FromPath[UUID], data: JSONBody[WriteMoneyOff]
) -> Response[bytes]:
    """Count a cancelled order's money as given back, which the gateway refused to give back.

    `gateway`: somebody refunded it there by hand. `bank_transfer`, `dispute`: not by the gateway.
    """

    async def act(tx: AsyncConnection) -> AttemptView:
        name_commit(tx, Commit.WRITE_OFF)
        found = await operations.lock(tx, order_id)
        said = WriteOff(data.amount_minor, data.means, data.note, "staff")
        returning = await backlog.is_returning(tx, order_id)
        decide = partial(write_off.write_off, found.order, found.payable, new_id(), said)
        await _write(tx, found, written := decide(returning=returning))
        views = await payments.page(tx, order_id)
        made = next(view for view in views if view.id == written.attempt.id)
        await audit.record(tx, once.request, "order.write_off", order_id, before=None, after=data)
        return made

    return await once.answer(order_id, data, act, location=f"/v1/orders/{order_id}/payments")


async def _write(tx: AsyncConnection, found: Locked, written: Written) -> None:
    """Write the attempt, the ledger and the timeline; what was given up is over."""
    order_id, done = found.order.id, Succeeded(BY_HAND)
    await payments.withdraw(tx, written.withdrawn, code=WITHDRAWN)
    await payments.insert(tx, [(found.payable, written.attempt)])
    await payments.settle(tx, [(written.attempt, AttemptState.SUCCEEDED, done)])
    await ledger.append(tx, [(order_id, written.attempt, found.payable.total.currency, done)])
    await orders.change_many(tx, {order_id: found.order}, [written.change])
    if written.over:
        await backlog.discard_returns(tx, order_id)


router = Router("/v1/orders", route_handlers=[write_money_off], tags=["payments"])
