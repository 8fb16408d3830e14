"""Queues over HTTP: shown, paused, resumed and limited by staff."""

from typing import Annotated

import msgspec
from litestar import Router, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit
from api.authentication import Asked
from db import queues
from db.engine import name_commit
from db.queues import QueueView
from domain.refusal import NotFound
from domain.task import Queue
from ops.telemetry.faultpoint import Commit

# More than any fleet runs.
RUNNING_MAX = 1_000_000


class QueueList(msgspec.Struct, frozen=True):
    """All queues, by name."""

    queues: list[QueueView]


class PutQueue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether it is paused, and how many of its tasks run at a time: null is no limit."""

    paused: bool
    running_max: Annotated[int, Meta(ge=0, le=RUNNING_MAX)] | None


@get("")
async def list_queues(tx: NamedDependency[AsyncConnection]) -> QueueList:
    """List the queues, and count their tasks."""
    return QueueList(await queues.page(tx))


@put("/{queue:str}")
async def put_queue(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    queue: FromPath[str],
    data: JSONBody[PutQueue],
) -> QueueView:
    """Pause or resume a queue, and limit it; what runs already goes on."""
    name_commit(tx, Commit.QUEUE)
    if queue not in set(Queue):
        raise NotFound(f"There is no queue {queue}.")
    was = await queues.get(tx, queue)
    now = await queues.put(tx, Queue(queue), paused=data.paused, running_max=data.running_max)
    before = {"paused": was.paused, "running_max": was.running_max}
    await audit.record(tx, request, "queue.put", queue, before=before, after=data)
    return now


router = Router("/v1/queues", route_handlers=[list_queues, put_queue], tags=["operations"])
