"""Schedules as people see them: when a job ran and runs next, paused, and run at once."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from domain.schedule import SCHEDULES, Job


class ScheduleView(msgspec.Struct, frozen=True):
    """A periodic job; one that is paused has no `next_run_at`, unless it is asked to run."""

    job: str
    every_s: int
    about: str
    paused: bool
    last_run_at: datetime | None
    next_run_at: datetime | None
    run_asked_at: datetime | None
    changed_by: UUID | None
    changed_at: datetime | None


async def page(tx: AsyncConnection) -> list[ScheduleView]:
    """List all jobs by name."""
    return await _read(tx, list(Job))


async def get(tx: AsyncConnection, job: Job) -> ScheduleView:
    """Read a job."""
    [found] = await _read(tx, [job])
    return found


async def put(tx: AsyncConnection, job: Job, *, paused: bool, by: UUID | None) -> ScheduleView:
    """Pause or resume a job; what of it runs already goes on."""
    await run(
        tx,
        """
        INSERT INTO schedules (job, paused, changed_by, changed_at)
        VALUES (%(job)s, %(paused)s, %(by)s, now())
        ON CONFLICT (job) DO UPDATE
        SET paused = excluded.paused, changed_by = excluded.changed_by, changed_at = now()
        """,
        {"job": job.value, "paused": paused, "by": by},
    )
    return await get(tx, job)


async def ask_to_run(tx: AsyncConnection, job: Job, *, by: UUID | None) -> ScheduleView:
    """Have the next clock run a job, paused or not; asked again before it did, it runs once."""
    await run(
        tx,
        """
        INSERT INTO schedules (job, run_asked_at, changed_by, changed_at)
        VALUES (%(job)s, now(), %(by)s, now())
        ON CONFLICT (job) DO UPDATE
        SET run_asked_at = now(), changed_by = excluded.changed_by, changed_at = now()
        """,
        {"job": job.value, "by": by},
    )
    return await get(tx, job)


def _view(job: str, every_s: int, *columns: Any) -> ScheduleView:  # noqa: ANN401 - of the row
    return ScheduleView(job, every_s, SCHEDULES[Job(job)].about, *columns)


async def _read(tx: AsyncConnection, jobs: list[Job]) -> list[ScheduleView]:
    return await fetch(
        tx,
        _view,
        """
        SELECT known.job, every_s, coalesce(s.paused, false), coalesce(s.last_run_at, ran.slot),
               CASE WHEN s.run_asked_at IS NOT NULL THEN now()
                    WHEN s.paused THEN NULL
                    WHEN ran.slot >= this.slot THEN this.slot + make_interval(secs => every_s)
                    ELSE now() END,
               s.run_asked_at, s.changed_by, s.changed_at
        FROM unnest(%(jobs)b::text[], %(every_s)b::int[]) AS known (job, every_s)
        CROSS JOIN LATERAL (
            SELECT date_bin(make_interval(secs => every_s), now(), 'epoch')) AS this (slot)
        LEFT JOIN LATERAL (
            SELECT max(slot) AS slot FROM cron_runs c WHERE c.job = known.job) AS ran ON true
        LEFT JOIN schedules s ON s.job = known.job
        ORDER BY known.job
        """,
        {
            "jobs": [job.value for job in jobs],
            "every_s": [SCHEDULES[job].every_s for job in jobs],
        },
    )
