"""Processes: each keeps a row about itself, by which the lost are told from the living."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from domain.refusal import NotFound
from ops.telemetry.activity import Told

# Five heartbeats: a machine that is merely busy misses one or two.
LOST_AFTER_S = 15
# More than any installation runs.
PROCESSES_MAX = 500


class ProcessKind(StrEnum):
    WEB = "web"
    WORKER = "worker"
    CLOCK = "clock"


class Self(msgspec.Struct, frozen=True):
    """What a process says of itself."""

    id: UUID
    kind: ProcessKind
    host: str
    pid: int
    version: str


class Running(msgspec.Struct, frozen=True):
    """What a stage of a process does, and since when."""

    stage: str
    what: str
    since: datetime
    task_id: int | None = None
    order_id: UUID | None = None


class ProcessView(msgspec.Struct, frozen=True):
    """A process; one that is `lost` has not been heard of for LOST_AFTER_S."""

    id: UUID
    kind: str
    host: str
    pid: int
    version: str
    rss_bytes: int | None
    running: list[Running]
    started_at: datetime
    heartbeat_at: datetime
    lost: bool
    stop_asked_at: datetime | None
    stop_asked_by: UUID | None


async def beat(
    tx: AsyncConnection, own: Self, *, rss_bytes: int | None, running: Sequence[Told]
) -> bool:
    """Write that a process lives and what it does; tells whether it is asked to stop."""
    # Losing the last heartbeat in a crash loses nothing: no commit need wait for the disk.
    await run(tx, "SET LOCAL synchronous_commit = off", {})
    [asked] = await fetch(
        tx,
        bool,
        """
        INSERT INTO processes (id, kind, host, pid, version, rss_bytes, running)
        VALUES (%(id)s, %(kind)s, %(host)s, %(pid)s, %(version)s, %(rss)s, %(running)s::jsonb)
        ON CONFLICT (id) DO UPDATE
        SET heartbeat_at = now(), rss_bytes = excluded.rss_bytes, running = excluded.running
        RETURNING stop_asked_at IS NOT NULL
        """,
        {
            "id": own.id,
            "kind": own.kind.value,
            "host": own.host,
            "pid": own.pid,
            "version": own.version,
            "rss": rss_bytes,
            "running": msgspec.json.encode(running).decode(),
        },
    )
    return asked


async def leave(tx: AsyncConnection, process_id: UUID) -> None:
    """Forget a process that ends as it should."""
    await run(tx, "DELETE FROM processes WHERE id = %(id)s", {"id": process_id})


async def page(tx: AsyncConnection) -> list[ProcessView]:
    """List processes by kind, the living first."""
    return await _read(tx, None)


async def ask_to_stop(tx: AsyncConnection, process_id: UUID, *, by: UUID | None) -> ProcessView:
    """Have a process end what it is at, and stop; the same again changes nothing.

    It sees so at its next heartbeat. Raises NotFound.
    """
    await run(
        tx,
        """
        UPDATE processes SET stop_asked_at = now(), stop_asked_by = %(by)s
        WHERE id = %(id)s AND stop_asked_at IS NULL
        """,
        {"id": process_id, "by": by},
    )
    return await get(tx, process_id)


async def get(tx: AsyncConnection, process_id: UUID) -> ProcessView:
    """Read a process; raises NotFound."""
    found = await _read(tx, process_id)
    if not found:
        raise NotFound(f"There is no process {process_id}.")
    return found[0]


async def prune(tx: AsyncConnection, *, keep_days: int) -> None:
    """Forget processes that were lost days ago."""
    query = "DELETE FROM processes WHERE heartbeat_at < now() - make_interval(days => %(days)s)"
    await run(tx, query, {"days": keep_days})


def _view(*columns: Any) -> ProcessView:  # noqa: ANN401 - those of the row
    row = list(columns)
    row[6] = msgspec.convert(row[6], list[Running])
    return ProcessView(*row)


async def _read(tx: AsyncConnection, process_id: UUID | None) -> list[ProcessView]:
    return await fetch(
        tx,
        _view,
        """
        SELECT id, kind, host, pid, version, rss_bytes,
               (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'stage', r->>'stage', 'what', r->>'what',
                    'since', heartbeat_at - make_interval(secs => (r->>'for_s')::float8),
                    'task_id', (r->'ids'->>'task_id')::bigint,
                    'order_id', r->'ids'->>'order_id')), '[]')
                FROM jsonb_array_elements(running) AS r),
               started_at, heartbeat_at,
               heartbeat_at < now() - make_interval(secs => %(lost_s)s) AS lost,
               stop_asked_at, stop_asked_by
        FROM processes WHERE id = coalesce(%(id)s::uuid, id)
        ORDER BY lost, kind, started_at LIMIT %(limit)s
        """,
        {"id": process_id, "lost_s": LOST_AFTER_S, "limit": PROCESSES_MAX},
    )
