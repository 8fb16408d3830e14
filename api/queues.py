"""Queues over HTTP: shown, paused, resumed and limited by staff."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit
from api.authentication import Asked
from api.problems import InvalidRequest
from db import queues, throughput
from db.engine import name_commit
from db.queues import QueueView
from db.throughput import Throughput
from domain.refusal import NotFound
from domain.task import Queue
from ops.telemetry.faultpoint import Commit

# More than any fleet runs.
RUNNING_MAX = 1_000_000


class QueueList(msgspec.Struct, frozen=True):
    """All queues, by name."""

    queues: list[QueueView]


class ThroughputList(msgspec.Struct, frozen=True):
    """What the queues did lately, by name; of the newest tasks only, whatever is kept."""

    throughput: list[Throughput]


class PutQueue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether it is paused, and how many of its tasks run at a time: null is no limit.

    What is not named stays as it is, so that two people do not undo what the other one did.
    """

    paused: bool | UnsetType = UNSET
    running_max: Annotated[int, Meta(ge=0, le=RUNNING_MAX)] | UnsetType | None = UNSET


@get("")
async def list_queues(tx: NamedDependency[AsyncConnection]) -> QueueList:
    """List the queues, and count their tasks."""
    return QueueList(await queues.page(tx))


@get("/throughput")
async def list_throughput(tx: NamedDependency[AsyncConnection]) -> ThroughputList:
    """Tell how much each queue did lately, and how long that took from when it was due."""
    return ThroughputList(await throughput.page(tx))


@put("/{queue:str}")
async def put_queue(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    queue: FromPath[str],
    data: JSONBody[PutQueue],
) -> QueueView:
    """Pause or resume a queue, limit it, or both; what runs already goes on."""
    if data == PutQueue():
        raise InvalidRequest("Name what is to change: paused, running_max, or both.")
    name_commit(tx, Commit.QUEUE)
    name, by = _known(queue), request.user.user_id
    was = await queues.get(tx, queue)
    now = await queues.put(tx, name, paused=data.paused, running_max=data.running_max, by=by)
    before = {"paused": was.paused, "running_max": was.running_max}
    await audit.record(tx, request, "queue.put", queue, before=before, after=data)
    return now


@post("/{queue:str}/drain", status_code=HTTPStatus.ACCEPTED)
async def drain_queue(
    request: Asked, tx: NamedDependency[AsyncConnection], queue: FromPath[str]
) -> QueueView:
    """Have a queue do what is due, take on nothing that comes after, and then be paused."""
    name_commit(tx, Commit.QUEUE)
    was = await queues.get(tx, _known(queue))
    now = await queues.drain(tx, _known(queue), by=request.user.user_id)
    if now.draining and not was.draining:
        await audit.record(tx, request, "queue.drain", queue, before={"ready": was.ready})
    return now


def _known(queue: str) -> Queue:
    if queue not in set(Queue):
        raise NotFound(f"There is no queue {queue}.")
    return Queue(queue)


router = Router(
    "/v1/queues",
    route_handlers=[list_queues, list_throughput, put_queue, drain_queue],
    tags=["operations"],
)
