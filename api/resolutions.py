"""A person's word over HTTP for what a gateway could not say."""

from datetime import timedelta
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import MediaType, Response, Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, idempotency
from api.authentication import Asked
from api.idempotency import Once
from api.problems import InvalidRequest
from api.strict import NO_CARD_NUMBERS
from db import ledger, operations, orders, payments, tasks
from db.engine import name_commit
from db.operations import Locked
from domain import settlement
from domain.attempt import Window
from domain.event import PaymentResolved
from domain.funds import TAKING, Attempt, AttemptState, PaymentOpen
from domain.payment import Declined, Succeeded
from domain.task import LOOK_AGAIN, LOOK_UNTIL, Kind, NewTask, Queue
from domain.text import ON_ONE_LINE, ONE_LINE
from ops.config import Settings
from ops.telemetry.faultpoint import Commit

# The code of an attempt of which a person says that it moved nothing.
DID_NOT_HAPPEN = "did_not_happen"


# A gateway's outage seldom lasts longer; later its books are compared with ours every night.
LOOKED_UP_FOR = timedelta(days=1)


class Answer(StrEnum):
    HAPPENED = "happened"
    DID_NOT_HAPPEN = DID_NOT_HAPPEN


class ResolvePayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person found out; `gateway_ref` is where, and needed for what happened."""

    outcome: Annotated[Answer, Meta(description="happened or did_not_happen")]
    note: Annotated[
        str, Meta(min_length=1, max_length=500, pattern=ONE_LINE, description=ON_ONE_LINE)
    ]
    gateway_ref: (
        Annotated[
            str,
            Meta(
                pattern=r"^[A-Za-z0-9_-]+\Z",
                max_length=255,
                description="the gateway's own reference, e.g. pi_3MtwBw",
            ),
        ]
        | None
    ) = None


class Resolution(msgspec.Struct, frozen=True):
    """What was decided, and what there was to see."""

    order_id: UUID
    status: str
    attempt_id: UUID
    operation: str
    outcome: str
    evidence: str
    note: str


@post(
    "/{order_id:uuid}/resolve",
    status_code=HTTPStatus.ACCEPTED,
    media_type=MediaType.JSON,
    dependencies=idempotency.ONCE,
    responses=idempotency.accepted(Resolution),
    opt={NO_CARD_NUMBERS: True},
)
async def resolve_payment(
    once: NamedDependency[Once], order_id: FromPath[UUID], data: JSONBody[ResolvePayment]
) -> Response[bytes]:
    """Settle the one payment of an order whose outcome the gateway could not say in its window.

    A charge that did not happen is looked up hourly for a day more: should it show after all, the
    money goes back. One that happened is looked up under the name given: the order is paid once
    the gateway confirms it, and else waits for another word.
    """
    outcome = _outcome(data)
    act = partial(_resolve, once.request, order_id=order_id, data=data, outcome=outcome)
    return await once.answer(order_id, data, act, location=f"/v1/orders/{order_id}")


async def _resolve(
    request: Asked,
    tx: AsyncConnection,
    *,
    order_id: UUID,
    data: ResolvePayment,
    outcome: Succeeded | Declined,
) -> Resolution:
    settings: Settings = request.app.state.settings
    name_commit(tx, Commit.RESOLVE)
    found = await operations.lock(tx, order_id)
    window = Window(found.now, timedelta(seconds=settings.gateway_window_s))
    attempt = settlement.unresolved(found.payable, window)
    if await operations.is_asking(tx, order_id):
        raise PaymentOpen("The gateway is being asked just now: repeat this in half a minute.")
    if isinstance(outcome, Succeeded):
        await _refuse_reference(tx, found, attempt, outcome.gateway_ref)
    verdict = PaymentResolved(
        attempt.id, data.outcome.value, data.note, "staff", settlement.evidence(attempt)
    )
    status = await _settle(tx, found, attempt, outcome, verdict)
    resolution = Resolution(
        order_id,
        status,
        attempt.id,
        attempt.kind.value,
        verdict.outcome,
        verdict.evidence,
        verdict.note,
    )
    before = {"status": found.order.status, "attempt": attempt.state}
    await audit.record(tx, request, "order.resolve", order_id, before=before, after=resolution)
    return resolution


def _outcome(data: ResolvePayment) -> Succeeded | Declined:
    happened = data.outcome is Answer.HAPPENED
    if happened and data.gateway_ref is None:
        raise InvalidRequest("Missing: name what happened at the gateway.", field="gateway_ref")
    if not happened and data.gateway_ref is not None:
        raise InvalidRequest("What did not happen has none: leave it out.", field="gateway_ref")
    return Declined(DID_NOT_HAPPEN) if data.gateway_ref is None else Succeeded(data.gateway_ref)


async def _refuse_reference(
    tx: AsyncConnection, found: Locked, attempt: Attempt, gateway_ref: str
) -> None:
    taken = await payments.is_of_another(
        tx, found.order.id, gateway=attempt.gateway, gateway_ref=gateway_ref
    )
    settlement.refuse_reference(found.payable, attempt, gateway_ref, taken=taken)


async def _settle(
    tx: AsyncConnection,
    found: Locked,
    attempt: Attempt,
    outcome: Succeeded | Declined,
    verdict: PaymentResolved,
) -> str:
    """Write the attempt, the ledger, the order and its timeline; the work that waited goes on."""
    order_id = found.order.id
    happened = isinstance(outcome, Succeeded)
    if happened and attempt.kind in TAKING:
        change = settlement.name(found.order, attempt, outcome.gateway_ref, verdict)
        await orders.change_many(tx, {order_id: found.order}, [change])
        return change.order.status.value
    change = settlement.resolve(found.order, attempt, outcome, verdict)
    state = AttemptState.SUCCEEDED if happened else AttemptState.DECLINED
    await payments.settle(tx, [(attempt, state, outcome)])
    if happened:
        currency = found.payable.total.currency
        await ledger.append(tx, [(order_id, attempt, currency, outcome)])
    await orders.change_many(tx, {order_id: found.order}, [change])
    if not happened and attempt.kind in TAKING:
        until = (found.now + LOOKED_UP_FOR).isoformat()
        payload = {"attempt_id": str(attempt.id), LOOK_AGAIN: "true", LOOK_UNTIL: until}
        await tasks.schedule(tx, NewTask(Kind.CHARGE, payload), order_id=order_id)
    await tasks.hurry(tx, [order_id], Queue.PAYMENTS)
    return change.order.status.value


router = Router("/v1/orders", route_handlers=[resolve_payment], tags=["payments"])
