"""Stages at a glance: how much waits in each, for how long, at a cost that does not grow."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from db.queues import QUEUES_MAX

# More of one kind than anybody tells apart; so many are counted in a fraction of a millisecond.
COUNTED_MAX = 2_000


class Stage(msgspec.Struct, frozen=True):
    """A queue; a count of COUNTED_MAX is that or more."""

    name: str
    paused: bool
    running_max: int | None
    due: int
    later: int
    running: int
    dead: int
    oldest_due_s: float


async def page(tx: AsyncConnection) -> list[Stage]:
    """Read all stages by name, each count up to COUNTED_MAX."""
    return await fetch(
        tx,
        Stage,
        """
        WITH dead AS (
            SELECT queue, count(*) AS count
            FROM (SELECT queue FROM tasks WHERE state = 'dead' LIMIT %(most)s) AS few
            GROUP BY queue
        )
        SELECT q.name, q.paused, q.running_max,
               (SELECT count(*) FROM (
                    SELECT FROM tasks WHERE queue = q.name AND state = 'ready'
                      AND run_at <= now() LIMIT %(most)s) AS few),
               (SELECT count(*) FROM (
                    SELECT FROM tasks WHERE queue = q.name AND state = 'ready'
                      AND run_at > now() LIMIT %(most)s) AS few),
               (SELECT count(*) FROM (
                    SELECT FROM tasks WHERE queue = q.name AND state = 'running'
                    LIMIT %(most)s) AS few),
               coalesce((SELECT count FROM dead WHERE queue = q.name), 0),
               coalesce(greatest(0, extract(epoch FROM now() - (
                    SELECT min(run_at) FROM tasks
                    WHERE queue = q.name AND state = 'ready'))), 0)::float8
        FROM queues q ORDER BY q.name LIMIT %(queues)s
        """,
        {"most": COUNTED_MAX, "queues": QUEUES_MAX},
    )
