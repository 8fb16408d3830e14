"""What gateways tell us over HTTP: kept once, believed never, and asked after at once."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

import msgspec
from litestar import Request, Router, post
from litestar.params import FromPath, RawBody
from sqlalchemy.ext.asyncio import AsyncConnection

from api.cards import looks_like_card_number
from api.problems import Forbidden, InvalidRequest
from api.reception import Reception
from api.signature import HEADER, verify
from db import inbox, orders, payments, tasks
from db.engine import Busy, Database, act_as, name_commit, transaction
from db.inbox import Message
from domain import settlement
from domain.actor import gateway
from domain.order import Change, Order
from domain.refusal import NotFound
from domain.task import LOOK_AGAIN, Kind, NewTask, Queue
from ops.config import Settings
from ops.telemetry import faultpoint
from ops.telemetry.faultpoint import Call, Commit, Side

# Stripe's events take some kilobytes.
WEBHOOK_BYTES_MAX = 256 * 1024

DISPUTE_OPENED = "charge.dispute.created"
# What succeeded or was pending may fail at the bank, days later.
REFUND_CHANGED = frozenset({"refund.failed", "refund.updated", "charge.refund.updated"})

# These have an effect of their own; the others are but a reason to ask the gateway.
_WRITTEN_DOWN = REFUND_CHANGED | {DISPUTE_OPENED}

# Of an object only this is kept: no name, no address, nothing of a card.
_KEPT = ("id", "object", "status", "amount", "payment_intent", "charge", "reason")
_WORD = re.compile(r"[\x21-\x7e]{1,255}")
# Of random references some hold digits that pass for a card number; none of them is digits alone.
_REFERENCE = re.compile(r"[a-z]+(?:_[a-z]+)*_(?=[0-9]*[A-Za-z])[0-9A-Za-z]{14,}")


class Received(msgspec.Struct, frozen=True):
    """It is kept; sent again it has no second effect."""

    received: bool = True


async def _answered(_: Request[Any, Any, Any]) -> None:
    faultpoint.reach(Call.WEBHOOK_ANSWER, Side.AFTER)


@post(
    "/{name:str}/webhook",
    status_code=HTTPStatus.OK,
    after_response=_answered,
    request_max_body_size=WEBHOOK_BYTES_MAX,
)
async def receive_webhook(
    request: Request[Any, Any, Any], body: RawBody, name: FromPath[str]
) -> Received:
    """Take note of a gateway's event; the gateway itself is asked for what is true.

    A dispute is written to the timeline here, under the order's lock. If a lock is not to be had
    in 100 ms, or a charge is open that the dispute may turn out to be of, the answer is 503 and
    nothing is kept, so that the gateway sends it again.
    """
    settings: Settings = request.app.state.settings
    if name not in settings.gateway_names:
        raise NotFound("There is no such gateway.")
    _refuse_unsigned(settings, body, request.headers.getall(HEADER, []))
    message = read(name, body)
    # Not before the signature is checked: who has none is to cost the database nothing.
    if message.kind in _WRITTEN_DOWN:
        await _receive(request.app.state.database, message)
    else:
        reception: Reception = request.app.state.reception
        await reception.keep(message)
    faultpoint.reach(Call.WEBHOOK_ANSWER, Side.BEFORE)
    return Received()


async def _receive(database: Database, message: Message) -> None:
    async with transaction(database) as tx:
        name_commit(tx, Commit.DISPUTE)
        act_as(tx, gateway(message.source))
        [(new, order_id)] = await inbox.insert_many(tx, [message])
        if new and order_id is not None:
            await _act(tx, message, order_id)
        elif order_id is None and message.kind == DISPUTE_OPENED:
            await _refuse_early(tx, message)


def _refuse_unsigned(settings: Settings, body: bytes, signatures: list[str]) -> None:
    given = [secret.strip() for secret in settings.stripe_webhook_secrets.split(",")]
    secrets = [secret for secret in given if secret]
    if not secrets:
        raise Forbidden("Webhooks are closed: set STRIPE_WEBHOOK_SECRETS.")
    signature = signatures[0] if len(signatures) == 1 else None
    verify(body, signature, secrets=secrets, now_s=time.time())


def read(source: str, body: bytes) -> Message:
    """Take from an event what is needed; raises InvalidRequest if it is no event at all."""
    try:
        event: object = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body is not JSON.") from error
    fields = _mapping(event)
    event_id, kind = _word(fields.get("id")), _word(fields.get("type"))
    if event_id is None or kind is None:
        raise InvalidRequest("It has no id and type of an event.")
    about = _mapping(_mapping(fields.get("data")).get("object"))
    kept = {name: seen for name in _KEPT if (seen := _plain(about.get(name))) is not None}
    refs = [ref for name in ("id", "payment_intent") if (ref := _word(about.get(name)))]
    created = _plain(fields.get("created"))
    payload = {"id": event_id, "type": kind, "created": created, "object": kept}
    order_id = _uuid(_mapping(about.get("metadata")).get("order_id"))
    return Message(source, event_id, kind, payload, order_id, refs)


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _plain(value: object) -> str | int | None:
    return value if type(value) is int else _word(value)


def _word(value: object) -> str | None:
    """Give a reference or another word of the gateway's; never what could be a card's number."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        return None
    if looks_like_card_number(value) and not _REFERENCE.fullmatch(value):
        return None
    return value


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


async def _act(tx: AsyncConnection, message: Message, order_id: UUID) -> None:
    """Have the gateway asked; a dispute is no answer to a call of ours, so it is written down."""
    if message.kind == DISPUTE_OPENED:
        seen = message.payload["object"]

        def decide(was: Order) -> Change:
            amount = seen.get("amount")
            return settlement.dispute(
                was,
                str(seen.get("id", "")),
                amount_minor=amount if isinstance(amount, int) else 0,
                reason=str(seen.get("reason", "")),
            )

        await orders.change(tx, order_id, decide)
    if message.kind in REFUND_CHANGED:
        await _look_again(tx, message, order_id)
    await tasks.hurry(tx, [order_id], Queue.PAYMENTS)


async def _refuse_early(tx: AsyncConnection, message: Message) -> None:
    """Raise Busy for a dispute that may be of a charge whose answer is not known yet."""
    if await inbox.may_become_ours(tx, message.source, said_at=_time(message.payload["created"])):
        raise Busy("A charge is open that this may be about: send it again.")


def _time(seconds: object) -> datetime:
    """Read when an event was made: now, if it does not say so, or nothing that can be."""
    now = datetime.now(UTC)
    if not isinstance(seconds, int) or not 0 <= seconds <= now.timestamp():
        return now
    return datetime.fromtimestamp(seconds, UTC)


async def _look_again(tx: AsyncConnection, message: Message, order_id: UUID) -> None:
    """Have refunds looked up that were thought to be settled."""
    for attempt_id in await payments.refunds(tx, order_id, message.refs):
        task = NewTask(Kind.REFUND, {"attempt_id": str(attempt_id), LOOK_AGAIN: "true"})
        await tasks.schedule(tx, task, order_id=order_id)


router = Router("/v1/gateways", route_handlers=[receive_webhook], tags=["payments"])
