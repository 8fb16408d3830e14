"""Bulks over HTTP: one action on all tasks that match, tried dry, begun, stopped and undone."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit
from api.authentication import Asked
from api.openapi import answered
from api.problems import InvalidRequest
from db import bulks, matching
from db.bulks import BATCH_MAX, BulkView, NewBulk
from db.engine import name_commit
from db.ids import new_id
from db.matching import Filter
from domain.bulk import ACTS_ON, BulkAction, Judged, sum_up
from domain.task import Kind, Queue, State
from domain.text import ON_ONE_LINE, ONE_LINE
from ops.telemetry.faultpoint import Commit

PER_S = 100

_Text = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=ONE_LINE, description=ON_ONE_LINE)
]
_Moment = Annotated[datetime, Meta(tz=True)]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which tasks: of one state, and as narrow as the other fields make it."""

    state: Literal["dead", "ready"]
    kind: Kind | None = None
    queue: Queue | None = None
    order_id: UUID | None = None
    error: _Text | None = None
    created_from: _Moment | None = None
    created_before: _Moment | None = None

    def filter(self) -> Filter:
        """Give the filter of the list."""
        return Filter(
            State(self.state),
            self.kind,
            self.queue,
            self.order_id,
            self.error,
            self.created_from,
            self.created_before,
        )


class PostBulk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do with which tasks, at most so many per second; a dry run only says what it would.

    `replay` is for dead tasks and for those that wait to be tried again, `cancel` for ready and
    `discard` for dead ones.
    """

    action: Literal["replay", "cancel", "discard"]
    match: Match
    dry_run: bool
    per_s: Annotated[int, Meta(ge=1, le=BATCH_MAX)] = PER_S
    note: _Text | None = None


class BulkAnswer(Judged, frozen=True):
    """How all that match are judged, each again when it is its turn; what was begun, if it was."""

    bulk: BulkView | None = None


class BulkList(msgspec.Struct, frozen=True):
    """The newest bulks."""

    bulks: list[BulkView]


@post(
    "",
    status_code=HTTPStatus.OK,
    responses={HTTPStatus.ACCEPTED: answered(BulkAnswer, "Begun.")},
)
async def post_bulk(
    request: Asked, tx: NamedDependency[AsyncConnection], data: JSONBody[PostBulk]
) -> Response[BulkAnswer]:
    """Act on all tasks that match: say what it would do, or begin.

    The clocks carry it out in batches; what it leaves out, and why, is what the dry run says of
    tasks as they are then. 409 if the same is being done.
    """
    action = BulkAction(data.action)
    if State(data.match.state) not in ACTS_ON[action]:
        raise InvalidRequest(f"Nothing {data.match.state} can be acted on so.", field="match.state")
    wanted, last = data.match.filter(), await bulks.last_id(tx)
    judged = sum_up(action, await matching.groups(tx, wanted, id_max=last))
    if data.dry_run:
        return Response(BulkAnswer(judged.matched, judged.safe, judged.left_out))
    name_commit(tx, Commit.TASK)
    by = request.user.user_id
    new = NewBulk(new_id(), action, wanted, data.per_s, data.note, by, last, judged.matched)
    begun = await bulks.insert(tx, new)
    await audit.record(tx, request, "bulk.begin", begun.id, after=data)
    answer = BulkAnswer(judged.matched, judged.safe, judged.left_out, begun)
    where = {"Location": f"/v1/tasks/bulks/{begun.id}"}
    return Response(answer, status_code=HTTPStatus.ACCEPTED, headers=where)


@get("")
async def list_bulks(tx: NamedDependency[AsyncConnection]) -> BulkList:
    """List the newest bulks and how far each has come."""
    return BulkList(await bulks.page(tx))


@get("/{bulk_id:uuid}")
async def get_bulk(tx: NamedDependency[AsyncConnection], bulk_id: FromPath[UUID]) -> BulkView:
    """Tell how far a bulk has come."""
    return await bulks.get(tx, bulk_id)


@post("/{bulk_id:uuid}/cancel", status_code=HTTPStatus.OK)
async def cancel_bulk(
    request: Asked, tx: NamedDependency[AsyncConnection], bulk_id: FromPath[UUID]
) -> BulkView:
    """Stop a bulk where it is; what it has changed stays changed. 409 if it is done."""
    name_commit(tx, Commit.TASK)
    was = await bulks.get(tx, bulk_id)
    now = await bulks.cancel(tx, bulk_id)
    if now.state is not was.state:
        await audit.record(tx, request, "bulk.cancel", bulk_id, after={"changed": now.changed})
    return now


@post("/{bulk_id:uuid}/undo", status_code=HTTPStatus.ACCEPTED)
async def undo_bulk(
    request: Asked, tx: NamedDependency[AsyncConnection], bulk_id: FromPath[UUID]
) -> BulkView:
    """Put back what a bulk changed, where nothing came of it yet, by a bulk of its own.

    409 if it is running, or was undone.
    """
    name_commit(tx, Commit.TASK)
    begun = await bulks.undo(tx, bulk_id, new_id(), by=request.user.user_id)
    await audit.record(tx, request, "bulk.undo", bulk_id, after={"by": begun.id})
    return begun


router = Router(
    "/v1/tasks/bulks",
    route_handlers=[post_bulk, list_bulks, get_bulk, cancel_bulk, undo_bulk],
    tags=["operations"],
)
