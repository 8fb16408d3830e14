"""Imports carried out: step by step, each a transaction of its own, by any worker.

How far an import came is written with what came of it, under the lock of its row, and with the
task of the next step: each part of the file is read once, whoever dies.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import import_checks, import_publish, imports
from db.engine import fetch, run
from db.ids import new_id
from domain.catalogue_file import LINE_BYTES_MAX, LineRefused, Record, header, read, records
from domain.catalogue_line import CatalogueLine
from domain.importing import ENDED, ROWS_MAX, FileFormat, ImportState, OnError

# Read in some 15 ms, for which the other work of the process waits.
STEP_BYTES = 256 * 1024
# As many as that much has of short lines; of empty ones it would have a hundred times more.
STEP_RECORDS = 2_000
# Rows that are deleted in one transaction once they are not needed any more.
CLEAN_BATCH_MAX = 20_000


class _Import(msgspec.Struct):
    id: UUID
    format: str
    on_error: str
    dry_run: bool
    state: str
    bytes: int
    bytes_read: int
    line: int
    columns: list[str] | None
    rows: int


class _Part(msgspec.Struct):
    place: int
    content: bytes


class _Read(msgspec.Struct):
    """What a step has read: good rows, refused ones, and where it got to."""

    end: int
    line: int
    columns: list[str] | None
    rows: int
    good: list[tuple[int, CatalogueLine]] = []
    refused: list[tuple[int, LineRefused]] = []
    is_broken: bool = False  # what is left of the file cannot be read

    def refuse(self, line: int, why: LineRefused, *, broken: bool) -> None:
        """Note why a line, or all from it on, cannot be taken in."""
        self.refused.append((line, why))
        self.is_broken |= broken


async def step(tx: AsyncConnection, import_id: UUID) -> None:
    """Do the next step of an import, and have the one after it done.

    Its row is locked until the transaction ends.
    """
    found = await fetch(
        tx,
        _Import,
        """
        SELECT id, format, on_error, dry_run, state, bytes, bytes_read, line, columns, rows
        FROM imports WHERE id = %(id)s FOR NO KEY UPDATE
        """,
        {"id": import_id},
    )
    if not found:
        return
    given = found[0]
    match ImportState(given.state):
        case ImportState.READING:
            await _read_part(tx, given)
        case ImportState.PUBLISHING:
            on_error = OnError(given.on_error)
            await import_publish.publish(tx, import_id, on_error, dry_run=given.dry_run)
        case state if state in ENDED:
            if not await _clean(tx, import_id):
                return
        case _:
            return
    await imports.schedule(tx, import_id)


async def _read_part(tx: AsyncConnection, given: _Import) -> None:
    window = await _window(tx, given)
    last = given.bytes_read + len(window) >= given.bytes
    came = _take(window, given, last=last)
    if came.end == given.bytes_read and not came.is_broken:
        # What is behind it cannot be told from it.
        why = LineRefused(f"Longer than {LINE_BYTES_MAX} bytes: it is no line.")
        came.refuse(came.line, why, broken=True)
    await _keep_rows(tx, given.id, came.good)
    await import_checks.note(tx, given.id, came.refused)
    await _progress(tx, given, came)


async def _window(tx: AsyncConnection, given: _Import) -> bytes:
    """Read the next part of a file: a step's worth, or the whole of a line that is longer."""
    size = STEP_BYTES
    while True:
        window = await _slice(tx, given.id, given.bytes_read, size)
        is_all = given.bytes_read + len(window) >= given.bytes
        if is_all or size > LINE_BYTES_MAX or _has_record(window, given):
            return window
        size = LINE_BYTES_MAX + STEP_BYTES


def _has_record(window: bytes, given: _Import) -> bool:
    cut = records(window, FileFormat(given.format), at=given.bytes_read, line=1, last=False)
    return next(cut, None) is not None


async def _slice(tx: AsyncConnection, import_id: UUID, begin: int, size: int) -> bytes:
    parts = await fetch(
        tx,
        _Part,
        """
        SELECT place, content FROM import_parts
        WHERE import_id = %(id)s AND place < %(end)s
          AND place >= (SELECT max(place) FROM import_parts
                        WHERE import_id = %(id)s AND place <= %(begin)s)
        ORDER BY place
        """,
        {"id": import_id, "begin": begin, "end": begin + size},
    )
    whole = b"".join(part.content for part in parts)
    skipped = begin - parts[0].place if parts else 0
    return whole[skipped : skipped + size]


def _take(window: bytes, given: _Import, *, last: bool) -> _Read:
    file_format = FileFormat(given.format)
    came = _Read(given.bytes_read, given.line, given.columns, given.rows)
    cut = records(window, file_format, at=given.bytes_read, line=given.line, last=last)
    for record in islice(cut, STEP_RECORDS):
        if record.raw.strip():
            _take_one(came, record, file_format)
        if came.is_broken:
            break
        came.end, came.line = record.end, record.next_line
    return came


def _take_one(came: _Read, record: Record, file_format: FileFormat) -> None:
    is_header = file_format is FileFormat.CSV and came.columns is None
    if not is_header and came.rows == ROWS_MAX:
        why = LineRefused(f"A file has {ROWS_MAX} rows at most: send the rest in another.")
        came.refuse(record.line, why, broken=True)
        return
    try:
        if is_header:
            came.columns = header(record.raw)
        else:
            came.rows += 1
            came.good.append((record.line, read(record.raw, came.columns)))
    except LineRefused as why:
        came.refuse(record.line, why, broken=is_header)


async def _keep_rows(
    tx: AsyncConnection, import_id: UUID, rows: Sequence[tuple[int, CatalogueLine]]
) -> None:
    if not rows:
        return
    await run(
        tx,
        """
        INSERT INTO import_rows (import_id, line, product_id, slug, sku, parent, product, variant,
                                 prices)
        SELECT %(id)s, line, product_id, slug, sku, parent, product::jsonb, variant::jsonb,
               prices::jsonb
        FROM unnest(%(line)b::int[], %(product_id)b::uuid[], %(slug)b::text[], %(sku)b::text[],
                    %(parent)b::text[], %(product)b::text[], %(variant)b::text[],
                    %(prices)b::text[])
          AS r (line, product_id, slug, sku, parent, product, variant, prices)
        """,
        {
            "id": import_id,
            "line": [line for line, _ in rows],
            "product_id": [new_id() for _ in rows],
            "slug": [row.product and row.product.slug for _, row in rows],
            "sku": [row.variant and row.variant.sku for _, row in rows],
            "parent": [_parent(row) for _, row in rows],
            "product": [_columns(row.product) for _, row in rows],
            "variant": [_columns(row.variant) for _, row in rows],
            "prices": [msgspec.json.encode(row.prices).decode() for _, row in rows],
        },
    )


def _parent(row: CatalogueLine) -> str | None:
    """Name the product that the variant of a line is of."""
    if row.variant is None:
        return None
    return row.variant.product if row.product is None else row.product.slug


def _columns(part: msgspec.Struct | None) -> str | None:
    """Write a part with all of its fields, those that have their default, too.

    Moments are in UTC: Postgres reads no offsets beyond 15:59 from text.
    """
    if part is None:
        return None
    whole: dict[str, Any] = {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value
        for name, value in msgspec.structs.asdict(part).items()
    }
    return msgspec.json.encode(whole).decode()


async def _progress(tx: AsyncConnection, given: _Import, came: _Read) -> None:
    """Write how far an import came."""
    await run(
        tx,
        """
        UPDATE imports
        SET bytes_read = %(end)s, line = %(line)s, columns = %(columns)s::jsonb, rows = %(rows)s,
            bad = bad + %(bad)s,
            state = CASE WHEN %(broken)s THEN 'refused'
                         WHEN %(end)s::bigint >= bytes THEN 'publishing' ELSE state END,
            finished_at = CASE WHEN %(broken)s THEN clock_timestamp() END
        WHERE id = %(id)s
        """,
        {
            "id": given.id,
            "end": came.end,
            "line": came.line,
            "columns": None if came.columns is None else msgspec.json.encode(came.columns).decode(),
            "rows": came.rows,
            "bad": len(came.refused),
            "broken": came.is_broken,
        },
    )


async def _clean(tx: AsyncConnection, import_id: UUID) -> int:
    """Delete what an import does not need any more, a batch at a time; returns how much went."""
    parts = await run(tx, "DELETE FROM import_parts WHERE import_id = %(id)s", {"id": import_id})
    return parts + await run(
        tx,
        """
        DELETE FROM import_rows WHERE import_id = %(id)s AND line IN (
            SELECT line FROM import_rows WHERE import_id = %(id)s ORDER BY line LIMIT %(limit)s)
        """,
        {"id": import_id, "limit": CLEAN_BATCH_MAX},
    )
