"""Findings: what is not as it should be, open until it is gone or a person closes it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tables
from db.engine import fetch, run
from domain.finding import Finding
from domain.refusal import Conflict, NotFound


class FindingView(msgspec.Struct, frozen=True):
    """A finding as people see it; one that closed by itself has no note."""

    id: int
    kind: str
    subject: str
    order_id: UUID | None
    detail: str
    opened_at: datetime
    closed_at: datetime | None
    note: str | None


async def insert(tx: AsyncConnection, found: Sequence[Finding]) -> None:
    """Open findings; one that is open already stays that one, and tells how it is now."""
    distinct = {(one.kind, one.subject): one for one in found}
    if not distinct:
        return
    # Sorted, so that two who find the same do not wait for each other in a circle.
    ordered = [distinct[key] for key in sorted(distinct)]
    await run(
        tx,
        """
        INSERT INTO findings (kind, subject, order_id, detail)
        SELECT * FROM unnest(%(kind)b::text[], %(subject)b::text[], %(order_id)b::uuid[],
                             %(detail)b::text[])
        ON CONFLICT (kind, subject) WHERE closed_at IS NULL
        DO UPDATE SET detail = excluded.detail WHERE findings.detail <> excluded.detail
        """,
        {
            "kind": [str(one.kind) for one in ordered],
            "subject": [one.subject for one in ordered],
            "order_id": [one.order_id for one in ordered],
            "detail": [one.detail for one in ordered],
        },
    )


async def close_gone(
    tx: AsyncConnection,
    kinds: Sequence[str],
    subjects: Sequence[str],
    still: Sequence[Finding],
) -> None:
    """Close what was found of `subjects` in one of `kinds` and is not `still` there."""
    if not subjects:
        return
    await run(
        tx,
        """
        UPDATE findings SET closed_at = now()
        WHERE id IN (
            SELECT id FROM findings f
            WHERE closed_at IS NULL AND kind = ANY (%(kinds)b::text[])
              AND subject = ANY (%(subjects)b::text[])
              AND NOT EXISTS (
                  SELECT FROM unnest(%(kind)b::text[], %(subject)b::text[]) AS s (kind, subject)
                  WHERE s.kind = f.kind AND s.subject = f.subject)
            ORDER BY id FOR NO KEY UPDATE)
        """,
        {
            "kinds": list(kinds),
            "subjects": list(subjects),
            "kind": [str(one.kind) for one in still],
            "subject": [one.subject for one in still],
        },
    )


async def close(tx: AsyncConnection, finding_id: int, *, note: str) -> FindingView:
    """Close a finding for a person; the same again changes nothing.

    Raises NotFound, and Conflict if it was closed otherwise.
    """
    closed = await run(
        tx,
        """
        UPDATE findings SET closed_at = now(), note = %(note)s
        WHERE id = %(id)s AND closed_at IS NULL
        """,
        {"id": finding_id, "note": note},
    )
    found = await _get(tx, finding_id)
    if not closed and found.note != note:
        raise Conflict("The finding was closed meanwhile: read it again.")
    return found


async def _get(tx: AsyncConnection, finding_id: int) -> FindingView:
    row = (await tx.execute(select(*_VIEW).where(tables.findings.c.id == finding_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no finding {finding_id}.")
    return FindingView(*row)


async def page(
    tx: AsyncConnection, *, is_open: bool | None, before: int | None, limit: int
) -> list[FindingView]:
    """List findings, newest first, from just before `before` on; open ones, closed ones or all."""
    f = tables.findings.c
    query = select(*_VIEW).order_by(f.id.desc()).limit(limit)
    if is_open is not None:
        query = query.where(f.closed_at.is_(None) if is_open else f.closed_at.is_not(None))
    if before is not None:
        query = query.where(f.id < before)
    return [FindingView(*row) for row in await tx.execute(query)]


class _Broken(msgspec.Struct):
    kind: str
    findings: int
    since: datetime


async def open_by_kind(tx: AsyncConnection) -> Mapping[str, tuple[int, datetime]]:
    """Count what is open of each kind, and since when the oldest of it is."""
    rows = await fetch(
        tx,
        _Broken,
        """
        SELECT kind, count(*), min(opened_at) FROM findings WHERE closed_at IS NULL GROUP BY kind
        """,
        {},
    )
    return {row.kind: (row.findings, row.since) for row in rows}


_VIEW = tuple(tables.findings.c[name] for name in FindingView.__struct_fields__)
