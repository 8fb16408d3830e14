"""Throughput: what the queues did lately, told from the newest tasks."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import throughput

DONE = text(
    """
    INSERT INTO tasks (queue, kind, state, attempts_max, run_at, created_at, finished_at)
    SELECT :queue, 'notify', 'done', 1, at - make_interval(secs => :took_s),
           now() - interval '100 s', at
    FROM generate_series(1, :count) AS n, LATERAL (SELECT now() - n * interval '1 ms') AS _ (at)
    """
)


async def test_done_tasks_are_counted_and_timed_by_queue(tx: AsyncConnection) -> None:
    await tx.execute(DONE, {"queue": "payments", "took_s": 0.2, "count": 30})
    await tx.execute(DONE, {"queue": "payments", "took_s": 120, "count": 10})
    await tx.execute(DONE, {"queue": "notifications", "took_s": 0.02, "count": 1})

    notifications, payments = await throughput.page(tx)

    assert (notifications.name, notifications.done) == ("notifications", 1)
    assert (payments.done, round(payments.per_minute)) == (40, 24)
    assert (round(payments.p50_s, 1), round(payments.p95_s)) == (0.2, 120)
    assert payments.counts == [0, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 10]
    assert len(payments.counts) == len(payments.bounds_s) + 1


async def test_what_was_done_long_ago_is_not_told(tx: AsyncConnection) -> None:
    await tx.execute(DONE, {"queue": "payments", "took_s": 0.2, "count": 3})
    await tx.execute(text("UPDATE tasks SET finished_at = now() - interval '2 hours'"))

    assert await throughput.page(tx) == []
