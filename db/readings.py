"""Readings of the whole system for the metrics: what is open, and how long work waits."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.audits import AUDITED
from db.engine import fetch
from domain.status import Status

# Orders past these grow in number for ever; counters tell of them.
UNDER_WAY = (Status.PLACED, Status.BACKORDERED, Status.RESERVED, Status.REVIEW)

Readings = dict[str, dict[tuple[str, ...], float]]


class _Orders(msgspec.Struct):
    status: str
    count: int


class _Findings(msgspec.Struct):
    kind: str
    count: int


class _Audits(msgspec.Struct):
    looked_at_s: float | None
    rolled_at_s: float | None


class _Tasks(msgspec.Struct):
    queue: str
    state: str
    count: int
    oldest_due_s: float | None


async def find(tx: AsyncConnection) -> Readings:
    """Read the gauges that ops/telemetry/metrics.py names."""
    orders = await fetch(
        tx,
        _Orders,
        "SELECT status, count(*) FROM orders WHERE status = ANY (%(under_way)b::text[]) GROUP BY 1",
        {"under_way": [status.value for status in UNDER_WAY]},
    )
    findings = await fetch(
        tx,
        _Findings,
        "SELECT kind, count(*) FROM findings WHERE closed_at IS NULL GROUP BY kind",
        {},
    )
    broken = {row.kind: row.count for row in findings}
    return {
        "orderflow_invariant_violations": {(one.name,): broken.get(one.name, 0) for one in AUDITED},
        "findings": {(row.kind,): row.count for row in findings},
        "orders": {(row.status,): row.count for row in orders},
        **await _find_audits(tx),
        **await _find_tasks(tx),
    }


async def _find_audits(tx: AsyncConnection) -> Readings:
    [audits] = await fetch(
        tx,
        _Audits,
        """
        SELECT extract(epoch FROM max(looked_at))::float8,
               extract(epoch FROM max(rolled_at))::float8
        FROM audit_progress
        """,
        {},
    )
    return {
        "orderflow_audit_timestamp_seconds": {(): audits.looked_at_s or 0},
        "orderflow_audit_round_timestamp_seconds": {(): audits.rolled_at_s or 0},
    }


async def _find_tasks(tx: AsyncConnection) -> Readings:
    tasks = await fetch(
        tx,
        _Tasks,
        """
        SELECT queue, state, count(*), CASE state WHEN 'ready'
               THEN greatest(0, extract(epoch FROM now() - min(run_at))) END::float8
        FROM (
            SELECT queue, state, run_at FROM tasks WHERE state = 'ready'
            UNION ALL SELECT queue, state, run_at FROM tasks WHERE state = 'running'
            UNION ALL SELECT queue, state, run_at FROM tasks WHERE state = 'dead'
        ) AS open GROUP BY queue, state
        """,
        {},
    )
    return {
        "tasks": {(row.queue, row.state): row.count for row in tasks},
        "tasks_oldest_due_seconds": {
            (row.queue,): row.oldest_due_s for row in tasks if row.oldest_due_s is not None
        },
    }
