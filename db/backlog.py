"""The backlog as people see it: tasks listed, and dead ones replayed or discarded."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from sqlalchemy import Result, Select, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tables
from db.engine import fetch, ring_after_commit, run
from db.matching import IN_STATE, LOOKED_AT_MAX, MATCHES, Filter, params
from db.tasks import ID_MAX, KNOWN
from domain.refusal import Conflict, NotFound
from domain.task import (
    LOOK_AGAIN,
    QUEUE_OF,
    REPLAYED,
    Kind,
    State,
    fresh_attempts_max,
    refuse_living,
)


class TaskView(msgspec.Struct, frozen=True):
    """A task as people see it; it is `replayed` if one of them ever had it tried afresh."""

    id: int
    queue: str
    kind: str
    state: str
    order_id: UUID | None
    attempt: int
    attempts_max: int
    run_at: datetime
    lease_until: datetime | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None
    replayed: bool


async def page(
    tx: AsyncConnection, wanted: Filter, *, before: int | None, limit: int
) -> list[TaskView]:
    """List tasks in a state, newest first, from just before `before` on.

    Of those in the state the newest LOOKED_AT_MAX are looked through, and no others.
    """
    # What is ready or running has an index, though not by id. It is read whole, of which a sum, by
    # which there is no index at all, leaves no doubt, and only what is shown is kept in order.
    whole = wanted.state in {State.READY, State.RUNNING}
    newest: LiteralString = "" if whole else " ORDER BY id DESC LIMIT %(looked_at)s"
    by: LiteralString = "id + 0" if whole else "id"
    query: LiteralString = (
        "SELECT id, queue, kind, state, order_id, attempt, attempts_max, run_at, lease_until, "  # noqa: S608 - texts of ours alone
        "last_error, created_at, finished_at, payload ? %(mark)s FROM ("
        "SELECT * FROM tasks WHERE " + IN_STATE[wanted.state] + " AND " + by + " < %(before)s"
        " AND (%(order_id)s::uuid IS NULL OR order_id = %(order_id)s::uuid)"
        + newest
        + ") AS newest WHERE "
        + MATCHES
        + " ORDER BY "
        + by
        + " DESC LIMIT %(limit)s"
    )
    given = {
        "before": ID_MAX if before is None else before,
        "limit": limit,
        "looked_at": LOOKED_AT_MAX,
        "mark": REPLAYED,
    }
    return await fetch(tx, TaskView, query, {**params(wanted), **given})


async def replay(tx: AsyncConnection, task_id: int) -> TaskView:
    """Have a dead task done afresh; its queue is rung after commit.

    The number of its attempt, which fences off who did it before, goes on. One that was replayed
    and is not dead again stays as it is. Raises NotFound, TaskNotDead, or Conflict.
    """
    was = await _lock(tx, task_id)
    if was.replayed and was.state != State.DEAD:
        return was
    refuse_living(task_id, State(was.state))
    if was.kind not in KNOWN:
        raise Conflict(f"Task {task_id} is of a newer release, whose processes replay it.")
    kind = Kind(was.kind)
    await run(
        tx,
        """
        UPDATE tasks SET state = 'ready', attempts_max = %(max)s, run_at = now(),
            finished_at = NULL, payload = payload || jsonb_build_object(%(mark)s::text, 'true')
        WHERE id = %(id)s
        """,
        {"id": task_id, "max": fresh_attempts_max(kind, was.attempt), "mark": REPLAYED},
    )
    ring_after_commit(tx, QUEUE_OF[kind])
    return await get(tx, task_id)


async def discard(tx: AsyncConnection, task_id: int) -> TaskView:
    """Give a dead task up for good; the same again changes nothing.

    Raises NotFound, or TaskNotDead.
    """
    was = await _lock(tx, task_id)
    if was.state == State.CANCELLED:
        return was
    refuse_living(task_id, State(was.state))
    query = "UPDATE tasks SET state = 'cancelled', finished_at = now() WHERE id = %(id)s"
    await run(tx, query, {"id": task_id})
    return await get(tx, task_id)


async def is_returning(tx: AsyncConnection, order_id: UUID) -> bool:
    """Tell whether work is to be done, or being done, that may give an order's money back."""
    found = await fetch(
        tx,
        int,
        """
        SELECT 1 FROM tasks
        WHERE order_id = %(id)s AND state IN ('ready', 'running')
          AND kind IN ('undo_payment', 'void', 'refund', 'capture')
          AND NOT payload ? %(again)s LIMIT 1
        """,
        {"id": order_id, "again": LOOK_AGAIN},
    )
    return bool(found)


async def discard_returns(tx: AsyncConnection, order_id: UUID) -> None:
    """Give up for good what was to refund an order and is dead: it went back otherwise."""
    await run(
        tx,
        """
        UPDATE tasks SET state = 'cancelled', finished_at = now()
        WHERE order_id = %(id)s AND state = 'dead' AND kind IN ('undo_payment', 'refund')
        """,
        {"id": order_id},
    )


async def get(tx: AsyncConnection, task_id: int) -> TaskView:
    """Read a task; raises NotFound."""
    return _found(await tx.execute(_query(task_id)), task_id)


async def _lock(tx: AsyncConnection, task_id: int) -> TaskView:
    return _found(await tx.execute(_query(task_id).with_for_update(key_share=True)), task_id)


def _query(task_id: int) -> Select[*tuple[Any, ...]]:
    return select(*_VIEW).where(tables.tasks.c.id == task_id)


def _found(rows: Result[Any], task_id: int) -> TaskView:
    row = rows.one_or_none()
    if row is None:
        raise NotFound(f"There is no task {task_id}.")
    return TaskView(*row)


_COLUMNS = [name for name in TaskView.__struct_fields__ if name != "replayed"]
_VIEW = (
    *(tables.tasks.c[name] for name in _COLUMNS),
    type_coerce(tables.tasks.c.payload, JSONB()).has_key(REPLAYED),
)
