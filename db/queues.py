"""Queues: paused, limited and drained by people; how much of each runs and waits."""

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, ring_after_commit, run
from domain.refusal import NotFound
from domain.task import Queue

# One per stage, and a few that a newer release has.
QUEUES_MAX = 100


class QueueView(msgspec.Struct, frozen=True):
    """A queue; no `running_max` is no limit.

    Of what is `ready`, `scheduled` is not due yet. While it is `draining`, it takes on only what
    was written before.
    """

    name: str
    paused: bool
    draining: bool
    running_max: int | None
    ready: int
    scheduled: int
    running: int
    dead: int
    oldest_due_s: float | None
    changed_by: UUID | None
    changed_at: datetime | None


async def page(tx: AsyncConnection) -> list[QueueView]:
    """List all queues by name."""
    return await _read(tx, None)


async def get(tx: AsyncConnection, name: str) -> QueueView:
    """Read a queue; raises NotFound."""
    found = await _read(tx, name)
    if not found:
        raise NotFound(f"There is no queue {name}.")
    return found[0]


async def put(
    tx: AsyncConnection,
    name: Queue,
    *,
    paused: bool | UnsetType = UNSET,
    running_max: int | UnsetType | None = UNSET,
    by: UUID | None,
) -> QueueView:
    """Pause or resume a queue, limit it, or both; one that is not paused is rung after commit.

    To pause or resume ends a drain that is under way.
    """
    await run(
        tx,
        """
        UPDATE queues SET
            paused = CASE WHEN %(steers)s THEN %(paused)s::boolean ELSE paused END,
            drain_to = CASE WHEN %(steers)s THEN NULL ELSE drain_to END,
            running_max = CASE WHEN %(limits)s THEN %(max)s::integer ELSE running_max END,
            changed_by = %(by)s, changed_at = now()
        WHERE name = %(name)s
        """,
        {
            "name": name.value,
            "steers": paused is not UNSET,
            "paused": None if paused is UNSET else paused,
            "limits": running_max is not UNSET,
            "max": None if running_max is UNSET else running_max,
            "by": by,
        },
    )
    now = await get(tx, name.value)
    if not now.paused:
        ring_after_commit(tx, name)
    return now


async def drain(tx: AsyncConnection, name: Queue, *, by: UUID | None) -> QueueView:
    """Have a queue do what is due, take on nothing that is written from now on, and then pause.

    The same again changes nothing, nor does it if the queue is paused.
    """
    await run(
        tx,
        """
        UPDATE queues SET drain_to = (SELECT coalesce(max(id), 0) FROM tasks),
            changed_by = %(by)s, changed_at = now()
        WHERE name = %(name)s AND NOT paused AND drain_to IS NULL
        """,
        {"name": name.value, "by": by},
    )
    ring_after_commit(tx, name)
    return await get(tx, name.value)


async def end_drains(tx: AsyncConnection) -> list[str]:
    """Pause the queues that are drained; returns their names.

    What is to be tried again later stays and waits, as everything in a paused queue does.
    """
    return await fetch(
        tx,
        str,
        """
        UPDATE queues SET paused = true, drain_to = NULL
        WHERE drain_to IS NOT NULL
          AND NOT EXISTS (SELECT FROM tasks WHERE queue = name AND state = 'running')
          AND NOT EXISTS (SELECT FROM tasks WHERE queue = name AND state = 'ready'
                          AND run_at <= now() AND id <= drain_to)
        RETURNING name
        """,
        {},
    )


async def _read(tx: AsyncConnection, name: str | None) -> list[QueueView]:
    """Read queues; each state is read once, by its own index, which has nothing of what is done."""
    return await fetch(
        tx,
        QueueView,
        """
        WITH ready AS MATERIALIZED (
            SELECT queue, count(*) AS ready, count(*) FILTER (WHERE run_at > now()) AS scheduled,
                   min(run_at) FILTER (WHERE run_at <= now()) AS oldest
            FROM tasks WHERE state = 'ready' GROUP BY queue
        ), dead AS MATERIALIZED (
            SELECT queue, count(*) AS dead FROM tasks WHERE state = 'dead' GROUP BY queue
        )
        SELECT name, paused, drain_to IS NOT NULL, running_max, coalesce(ready, 0),
               coalesce(scheduled, 0),
               (SELECT count(*) FROM tasks WHERE queue = name AND state = 'running'),
               coalesce(dead, 0), extract(epoch FROM now() - oldest)::float8,
               changed_by, changed_at
        FROM queues LEFT JOIN ready ON ready.queue = name LEFT JOIN dead ON dead.queue = name
        WHERE name = coalesce(%(name)s::text, name) ORDER BY name LIMIT %(limit)s
        """,
        {"name": name, "limit": QUEUES_MAX},
    )
