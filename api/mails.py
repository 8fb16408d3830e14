"""Mails of an order over HTTP: sent once more by staff."""

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
from db import notifications, operations
from db.engine import name_commit
from domain.task import Notice
from ops.telemetry.faultpoint import Commit


class ResendMail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which mail."""

    notice: Annotated[
        Notice, Meta(description="order_confirmed, order_backordered or order_cancelled")
    ]


class Resent(msgspec.Struct, frozen=True):
    """The mail that goes out once more."""

    order_id: UUID
    notice: Notice


@post(
    "/{order_id:uuid}/resend",
    status_code=202,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(Resent),
)
async def resend_mail(
    once: NamedDependency[Once], order_id: FromPath[UUID], data: JSONBody[ResendMail]
) -> Response[bytes]:
    """Send a mail of an order once more, with the same Message-ID; one that is under way is not."""

    async def act(tx: AsyncConnection) -> Resent:
        name_commit(tx, Commit.TASK)
        # Whoever writes mails of the order waits for this lock.
        await operations.lock(tx, order_id)
        was = await notifications.reopen(tx, order_id, data.notice)
        await audit.record(tx, once.request, "order.resend", order_id, before=was, after=data)
        return Resent(order_id, data.notice)

    return await once.answer(order_id, data, act, location=f"/v1/orders/{order_id}")


router = Router("/v1/orders", route_handlers=[resend_mail], tags=["orders"])
