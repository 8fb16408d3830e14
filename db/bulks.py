"""Bulks as people see them: asked for, stopped and undone; clocks carry them out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from db.matching import Filter
from domain.bulk import BulkAction, BulkOver, BulkState
from domain.refusal import Conflict, NotFound

# Tasks that one transaction changes, and so at most in a second.
BATCH_MAX = 1000
PAGE_MAX = 50


class BulkView(msgspec.Struct, frozen=True):
    """A bulk; of those that matched, `gone` were somebody else's by the time it came to them."""

    id: UUID
    action: BulkAction
    filter: Filter
    undoes: UUID | None
    per_s: int
    note: str | None
    asked_by: UUID | None
    state: BulkState
    matched: int
    changed: int
    gone: int
    left_out: Mapping[str, int]
    undone_by: UUID | None
    created_at: datetime
    finished_at: datetime | None


class NewBulk(msgspec.Struct, frozen=True):
    id: UUID
    action: BulkAction
    filter: Filter
    per_s: int
    note: str | None
    asked_by: UUID | None
    id_max: int
    matched: int
    undoes: UUID | None = None


async def last_id(tx: AsyncConnection) -> int:
    """Give the id of the newest task: a bulk acts on none that came after it was asked for."""
    [found] = await fetch(tx, int, "SELECT coalesce(max(id), 0) FROM tasks", {})
    return found


async def insert(tx: AsyncConnection, new: NewBulk) -> BulkView:
    """Ask for a bulk; raises Conflict if the same one is running, or was undone before."""
    given = msgspec.structs.asdict(new)
    given |= {"action": new.action.value, "filter": msgspec.json.encode(new.filter).decode()}
    written = await run(
        tx,
        """
        INSERT INTO task_bulks (id, action, filter, undoes, per_s, note, asked_by, id_max, matched)
        VALUES (%(id)s, %(action)s, %(filter)s::jsonb, %(undoes)s, %(per_s)s, %(note)s,
                %(asked_by)s, %(id_max)s, %(matched)s)
        ON CONFLICT DO NOTHING
        """,
        given,
    )
    if not written:
        raise Conflict("The same is asked for already: see the bulks that there are.")
    return await get(tx, new.id)


async def page(tx: AsyncConnection) -> list[BulkView]:
    """List the newest bulks."""
    return await _read(tx, None)


async def get(tx: AsyncConnection, bulk_id: UUID) -> BulkView:
    """Read a bulk; raises NotFound."""
    found = await _read(tx, bulk_id)
    if not found:
        raise NotFound(f"There is no bulk {bulk_id}.")
    return found[0]


async def cancel(tx: AsyncConnection, bulk_id: UUID) -> BulkView:
    """Stop a bulk where it is; the same again changes nothing. Raises NotFound or BulkOver."""
    await run(
        tx,
        """
        UPDATE task_bulks SET state = 'cancelled', finished_at = now()
        WHERE id = %(id)s AND state = 'running'
        """,
        {"id": bulk_id},
    )
    found = await get(tx, bulk_id)
    if found.state is BulkState.DONE:
        raise BulkOver("It is done: what it changed can be undone, where nothing came of it yet.")
    return found


async def undo(tx: AsyncConnection, bulk_id: UUID, new_id: UUID, *, by: UUID | None) -> BulkView:
    """Have put back what a bulk changed; raises NotFound, BulkOver, or Conflict if it was."""
    was = await get(tx, bulk_id)
    if was.state is BulkState.RUNNING:
        raise BulkOver("It is running: cancel it first.")
    if was.action is BulkAction.UNDO:
        raise BulkOver("It undid another: ask for what that one did again.")
    change = NewBulk(
        new_id, BulkAction.UNDO, was.filter, BATCH_MAX, None, by, 0, was.changed, undoes=bulk_id
    )
    return await insert(tx, change)


async def prune(tx: AsyncConnection, *, keep_days: int) -> int:
    """Forget a bulk that ended days ago, and what it changed; returns whether one went."""
    return await run(
        tx,
        """
        DELETE FROM task_bulks WHERE id IN (
            SELECT id FROM task_bulks WHERE finished_at < now() - make_interval(days => %(days)s)
            ORDER BY finished_at LIMIT 1)
        """,
        {"days": keep_days},
    )


def _bulk(*columns: Any) -> BulkView:  # noqa: ANN401 - those of the row
    names = BulkView.__struct_fields__
    return msgspec.convert(dict(zip(names, columns, strict=True)), BulkView)


async def _read(tx: AsyncConnection, bulk_id: UUID | None) -> list[BulkView]:
    return await fetch(
        tx,
        _bulk,
        """
        SELECT id, action, filter, undoes, per_s, note, asked_by, state, matched, changed, gone,
               left_out, (SELECT u.id FROM task_bulks u WHERE u.undoes = b.id) AS undone_by,
               created_at, finished_at
        FROM task_bulks b WHERE id = coalesce(%(id)s::uuid, id)
        ORDER BY created_at DESC, b.id LIMIT %(limit)s
        """,
        {"id": bulk_id, "limit": PAGE_MAX},
    )
