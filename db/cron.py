"""Cron slots: a periodic job belongs to whichever clock writes its slot first."""

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import run


async def take_slot(tx: AsyncConnection, job: str, *, every_s: int) -> bool:
    """Take the current slot of a job; False if another clock has it. Old slots are dropped."""
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
