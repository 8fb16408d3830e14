"""Tasks over HTTP: listed, and dead ones replayed or discarded, by staff."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, pages
from api.authentication import Asked
from api.fields import MomentInQuery, moment
from db import backlog, matching
from db.backlog import TaskView
from db.engine import name_commit
from db.matching import CauseView, Filter
from domain.task import Kind, Queue, State
from domain.text import ON_ONE_LINE, ONE_LINE
from ops.telemetry.faultpoint import Commit

TaskId = Annotated[int, PathParameter(ge=1, le=pages.NUMBER_MAX)]


class TaskPage(msgspec.Struct, frozen=True):
    """A part of the list; the Link header leads to the next one."""

    tasks: list[TaskView]


class CauseList(msgspec.Struct, frozen=True):
    """Why tasks are dead: their errors without the ids and numbers in them."""

    causes: list[CauseView]


class DiscardTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it need not be done any more."""

    note: Annotated[
        str, Meta(min_length=1, max_length=500, pattern=ONE_LINE, description=ON_ONE_LINE)
    ]


@get("")
async def list_tasks(  # noqa: PLR0913, PLR0917 - one parameter per filter
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    in_state: Annotated[State, QueryParameter(name="state")] = State.DEAD,
    kind: Annotated[Kind | None, QueryParameter()] = None,
    queue: Annotated[Queue | None, QueryParameter()] = None,
    order: Annotated[UUID | None, QueryParameter()] = None,
    error: Annotated[str | None, QueryParameter(min_length=1, max_length=200)] = None,
    created_from: MomentInQuery = None,
    created_before: MomentInQuery = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[TaskPage]:
    """List tasks in a state, dead ones unless another is named, newest first.

    `error` is part of their last error. The newest 200,000 of a state are looked through.
    """
    before = None if cursor is None else pages.decode_number(cursor)
    wanted = Filter(
        in_state,
        kind,
        queue,
        order,
        error,
        since=moment(created_from, field="created_from"),
        until=moment(created_before, field="created_before"),
    )
    found = await backlog.page(tx, wanted, before=before, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, UUID(int=shown[-1].id)) if len(found) > limit else {}
    return Response(TaskPage(shown), headers=headers)


@get("/causes")
async def list_causes(tx: NamedDependency[AsyncConnection]) -> CauseList:
    """Group the newest 2,000 dead tasks by kind and cause, the most frequent first."""
    return CauseList(await matching.causes(tx))


@post("/{task_id:int}/replay", status_code=HTTPStatus.OK)
async def replay_task(
    request: Asked, tx: NamedDependency[AsyncConnection], task_id: TaskId
) -> TaskView:
    """Have a dead task tried afresh; the same again changes nothing.

    A payment that may have happened is looked up first, so nothing is charged twice.
    """
    name_commit(tx, Commit.TASK)
    was = await backlog.get(tx, task_id)
    replayed = await backlog.replay(tx, task_id)
    if replayed != was:
        await audit.record(tx, request, "task.replay", task_id, before=was, after=replayed)
    return replayed


@post("/{task_id:int}/discard", status_code=HTTPStatus.OK)
async def discard_task(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    task_id: TaskId,
    data: JSONBody[DiscardTask],
) -> TaskView:
    """Give a dead task up: what it was to do is not done; the same again changes nothing."""
    name_commit(tx, Commit.TASK)
    was = await backlog.get(tx, task_id)
    discarded = await backlog.discard(tx, task_id)
    if discarded != was:
        after = {"state": discarded.state, "note": data.note}
        await audit.record(tx, request, "task.discard", task_id, before=was, after=after)
    return discarded


router = Router(
    "/v1/tasks",
    route_handlers=[list_tasks, list_causes, replay_task, discard_task],
    tags=["operations"],
)
