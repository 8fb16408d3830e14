"""Cron slots: a periodic job belongs to whichever clock writes its slot first."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run


class _Set(msgspec.Struct):
    paused: bool
    asked: bool


async def take_slot(tx: AsyncConnection, job: str, *, every_s: int) -> bool:
    """Take the current slot of a job; False if another clock has it, or the job is paused.

    Whoever is asked to run the job at once does so in the current slot, too.
    """
    found = await fetch(
        tx,
        _Set,
        "SELECT paused, run_asked_at IS NOT NULL FROM schedules WHERE job = %(job)s",
        {"job": job},
    )
    asked = any(one.asked for one in found) and await _answer(tx, job)
    if any(one.paused for one in found) and not asked:
        return False
    taken = await _insert(tx, job, every_s) or asked
    if taken:
        await _note(tx, job)
    return taken


async def _insert(tx: AsyncConnection, job: str, every_s: int) -> bool:
    """Write the current slot; old ones are dropped."""
    await run(
        tx,
        """
        DELETE FROM cron_runs WHERE job = %(job)s
          AND slot < now() - make_interval(days => 7, secs => %(every_s)s)
        """,
        {"job": job, "every_s": every_s},
    )
    taken = await run(
        tx,
        """
        INSERT INTO cron_runs (job, slot)
        VALUES (%(job)s, date_bin(make_interval(secs => %(every_s)s), now(), 'epoch'))
        ON CONFLICT DO NOTHING
        """,
        {"job": job, "every_s": every_s},
    )
    return taken == 1


async def _answer(tx: AsyncConnection, job: str) -> bool:
    """Take what a person asked for; False if another clock has just done so."""
    answered = await run(
        tx,
        "UPDATE schedules SET run_asked_at = NULL WHERE job = %(job)s AND run_asked_at IS NOT NULL",
        {"job": job},
    )
    return answered == 1


async def _note(tx: AsyncConnection, job: str) -> None:
    await run(
        tx,
        """
        INSERT INTO schedules (job, last_run_at) VALUES (%(job)s, now())
        ON CONFLICT (job) DO UPDATE SET last_run_at = now()
        """,
        {"job": job},
    )
