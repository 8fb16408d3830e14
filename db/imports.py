"""Imports as people see them: uploaded, watched, stopped; workers carry them out."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import import_tables, tasks
from db.engine import fetch, run
from domain.importing import FileFormat, ImportOver, ImportState, OnError
from domain.refusal import NotFound
from domain.task import Kind, NewTask

# In the payload of a task: the import whose next step it is.
OF_IMPORT = "import_id"

# Whoever has not sent the rest of a file by then does not send it any more.
UPLOAD_KEEP_H = 1

_i = import_tables.imports.c
_e = import_tables.import_errors.c


class ImportView(msgspec.Struct, frozen=True):
    """An import and how far it is: `bytes_read` of `bytes`, with so many rows, so many of them bad.

    `products`, `variants` and `prices` were written, which are new or were otherwise before; null
    until it is done, and in a dry run.
    """

    id: UUID
    format: FileFormat
    on_error: OnError
    dry_run: bool
    state: ImportState
    bytes: int
    bytes_read: int
    rows: int
    bad: int
    products: int | None
    variants: int | None
    prices: int | None
    asked_by: UUID | None
    created_at: datetime
    finished_at: datetime | None


class NewImport(msgspec.Struct, frozen=True):
    """What somebody wants done with a file."""

    id: UUID
    format: FileFormat
    on_error: OnError
    dry_run: bool
    asked_by: UUID | None


class LineError(msgspec.Struct, frozen=True):
    """Why a line cannot be taken in, at which of its fields, and what to do about it."""

    line: int
    field: str | None
    detail: str


async def insert(tx: AsyncConnection, new: NewImport) -> None:
    """Make an import whose file is just coming."""
    columns = msgspec.to_builtins(new, builtin_types=(UUID,))
    await tx.execute(import_tables.imports.insert().values(columns))


async def append(tx: AsyncConnection, import_id: UUID, place: int, content: bytes) -> None:
    """Keep a part of the file, which begins at byte `place`.

    Raises ImportOver once the import was stopped, which is waited for: nothing comes after it.
    """
    kept = await run(
        tx,
        """
        INSERT INTO import_parts (import_id, place, content)
        SELECT id, %(place)s, %(content)b FROM imports
        WHERE id = %(id)s AND state = 'uploading' FOR SHARE
        """,
        {"id": import_id, "place": place, "content": content},
    )
    _refuse_stopped(kept)


async def start(tx: AsyncConnection, import_id: UUID, size: int) -> ImportView:
    """Have a worker take on an import whose file is there; raises ImportOver if it was stopped."""
    started = await run(
        tx,
        """
        UPDATE imports SET state = 'reading', bytes = %(size)s
        WHERE id = %(id)s AND state = 'uploading'
        """,
        {"id": import_id, "size": size},
    )
    _refuse_stopped(started)
    await schedule(tx, import_id)
    return await get(tx, import_id)


def _refuse_stopped(written: int) -> None:
    if not written:
        raise ImportOver("It was stopped while its file came: send the file again.")


async def discard(tx: AsyncConnection, import_id: UUID) -> None:
    """Forget an import that was not begun."""
    await run(
        tx,
        "DELETE FROM imports WHERE id = %(id)s AND state = 'uploading'",
        {"id": import_id},
    )


async def schedule(tx: AsyncConnection, import_id: UUID) -> None:
    """Have the next step of an import done."""
    await tasks.schedule(tx, NewTask(Kind.IMPORT, {OF_IMPORT: str(import_id)}))


async def page(tx: AsyncConnection, *, before: UUID | None, limit: int) -> list[ImportView]:
    """List imports, newest first, from just before `before` on."""
    query = _VIEW.order_by(_i.id.desc()).limit(limit)
    return await _read(tx, query if before is None else query.where(_i.id < before))


async def get(tx: AsyncConnection, import_id: UUID) -> ImportView:
    """Read an import; raises NotFound."""
    found = await _read(tx, _VIEW.where(_i.id == import_id))
    if not found:
        raise NotFound(f"There is no import {import_id}.")
    return found[0]


async def errors(
    tx: AsyncConnection, import_id: UUID, *, after: int, limit: int
) -> Sequence[LineError]:
    """List what is wrong with the lines of an import, in their order, from behind `after` on."""
    query = select(_e.line, _e.field, _e.detail).where(_e.import_id == import_id, _e.line > after)
    return [LineError(*row) for row in await tx.execute(query.order_by(_e.line).limit(limit))]


async def cancel(tx: AsyncConnection, import_id: UUID) -> ImportView:
    """Stop an import before it is published; the same again changes nothing.

    Raises NotFound, or ImportOver for one that has ended, or is just being published.
    """
    found = await get(tx, import_id)
    # A part that comes, or is read, is over in a moment; what is published is not waited for.
    wait = "SKIP LOCKED" if found.state is ImportState.PUBLISHING else ""
    locked = await fetch(
        tx,
        str,
        f"SELECT state FROM imports WHERE id = %(id)s FOR NO KEY UPDATE {wait}",  # noqa: S608 - ours
        {"id": import_id},
    )
    if not locked:
        raise ImportOver("It is just being published: see what comes of it.")
    state = ImportState(locked[0])
    if state is ImportState.CANCELLED:
        return found
    if state in {ImportState.DONE, ImportState.REFUSED}:
        raise ImportOver(f"It is {state}: there is nothing to stop.")
    await run(
        tx,
        """
        UPDATE imports SET state = 'cancelled', finished_at = clock_timestamp() WHERE id = %(id)s
        """,
        {"id": import_id},
    )
    await schedule(tx, import_id)
    return await get(tx, import_id)


async def prune(tx: AsyncConnection, *, keep_days: int) -> int:
    """Forget an import that is old, or whose file never came whole; returns whether one went."""
    return await run(
        tx,
        """
        DELETE FROM imports WHERE id = (
            SELECT id FROM imports
            WHERE created_at < now() - make_interval(days => %(days)s) AND finished_at IS NOT NULL
               OR state = 'uploading' AND created_at < now() - make_interval(hours => %(hours)s)
            ORDER BY created_at LIMIT 1)
        """,
        {"days": keep_days, "hours": UPLOAD_KEEP_H},
    )


_VIEW = select(*(_i[name] for name in ImportView.__struct_fields__))


async def _read(tx: AsyncConnection, query: Select[tuple[object, ...]]) -> list[ImportView]:
    rows = (await tx.execute(query)).mappings()
    return [msgspec.convert(dict(row), ImportView) for row in rows]
