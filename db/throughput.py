"""Throughput of the queues: how much was done lately, and how long it took."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch

# The newest tasks are looked at: reading so many by their key takes some twenty milliseconds.
LOOKED_AT_MAX = 20_000
WITHIN_S = 3600
# Upper bounds in seconds, from when a task was due until it was done; what takes longer follows.
BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Throughput(msgspec.Struct, frozen=True):
    """What a queue did of the newest LOOKED_AT_MAX tasks, in the last `over_s` seconds.

    `counts` has one more member than `bounds_s`: what took longer than the last of these.
    """

    name: str
    done: int
    over_s: float
    per_minute: float
    p50_s: float
    p95_s: float
    bounds_s: Sequence[float]
    counts: Sequence[int]


class _Row(msgspec.Struct):
    name: str
    done: int
    over_s: float
    percentiles: list[float]
    buckets: list[int]


async def page(tx: AsyncConnection) -> list[Throughput]:
    """Tell of the queues that did anything within WITHIN_S, by name."""
    rows = await fetch(
        tx,
        _Row,
        """
        WITH newest AS MATERIALIZED (
            SELECT queue, run_at, created_at, finished_at, state FROM tasks
            ORDER BY id DESC LIMIT %(looked_at)s
        ), over AS (
            SELECT least(extract(epoch FROM now() - min(created_at)), %(within_s)s)::float8 AS s
            FROM newest
        ), done AS MATERIALIZED (
            SELECT queue, took_s, width_bucket(took_s, %(bounds)b::float8[]) AS bucket
            FROM (SELECT queue, extract(epoch FROM finished_at - run_at)::float8 AS took_s
                  FROM newest WHERE state = 'done'
                    AND finished_at > now() - make_interval(secs => %(within_s)s)) AS finished
        ), counted AS MATERIALIZED (
            SELECT queue, bucket, count(*) AS tasks FROM done GROUP BY queue, bucket
        )
        SELECT d.queue, d.tasks, greatest((SELECT s FROM over), 1), d.percentiles,
               (SELECT array_agg(coalesce((SELECT tasks FROM counted c
                                           WHERE c.queue = d.queue AND c.bucket = n), 0)
                                 ORDER BY n)
                FROM generate_series(0, %(last)s) AS n)
        FROM (
            SELECT queue, count(*) AS tasks,
                   percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY took_s) AS percentiles
            FROM done GROUP BY queue
        ) AS d ORDER BY d.queue
        """,
        {
            "looked_at": LOOKED_AT_MAX,
            "within_s": WITHIN_S,
            "bounds": list(BOUNDS_S),
            "last": len(BOUNDS_S),
        },
    )
    return [_throughput(row) for row in rows]


def _throughput(row: _Row) -> Throughput:
    per_minute = row.done / row.over_s * 60
    p50_s, p95_s = row.percentiles
    return Throughput(
        row.name, row.done, row.over_s, per_minute, p50_s, p95_s, BOUNDS_S, row.buckets
    )
