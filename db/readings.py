"""Readings of the whole system for the metrics: what is open, and how long work waits."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.audits import AUDITED
from db.engine import fetch
from db.processes import LOST_AFTER_S, ProcessKind
from domain.status import Status
from domain.task import State

# Orders past these grow in number for ever; counters tell of them.
UNDER_WAY = (Status.PLACED, Status.BACKORDERED, Status.RESERVED, Status.REVIEW)

# States of a task that is not over.
OPEN = (State.READY, State.RUNNING, State.DEAD)

Reading = dict[tuple[str, ...], float]
Readings = dict[str, Reading]


class _Orders(msgspec.Struct):
    status: str
    count: int


class _Findings(msgspec.Struct):
    kind: str
    count: int


class _Audits(msgspec.Struct):
    looked_at_s: float | None
    rolled_at_s: float | None


class _Unknown(msgspec.Struct):
    gateway: str
    count: int
    oldest_s: float


class _Processes(msgspec.Struct):
    kind: str
    count: int


class _Queue(msgspec.Struct):
    name: str
    paused: bool


class _Tasks(msgspec.Struct):
    queue: str
    state: str
    count: int
    oldest_due_s: float | None


async def find(tx: AsyncConnection) -> Readings:
    """Read the gauges that ops/telemetry/metrics.py names, as far as Postgres tells them."""
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
    under_way: Reading = {(status.value,): 0 for status in UNDER_WAY}
    under_way |= {(row.status,): row.count for row in orders}
    broken = {row.kind: row.count for row in findings}
    return {
        "orderflow_invariant_violations": {(one.name,): broken.get(one.name, 0) for one in AUDITED},
        "orderflow_findings": {(row.kind,): row.count for row in findings},
        "orderflow_orders": under_way,
        **await _find_audits(tx),
        **await _find_processes(tx),
        **await _find_unknown(tx),
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


async def _find_processes(tx: AsyncConnection) -> Readings:
    found = await fetch(
        tx,
        _Processes,
        """
        SELECT kind, count(*) FROM processes
        WHERE heartbeat_at > now() - make_interval(secs => %(lost_after_s)s) GROUP BY kind
        """,
        {"lost_after_s": LOST_AFTER_S},
    )
    alive: Reading = {(kind.value,): 0 for kind in ProcessKind}
    alive |= {(row.kind,): row.count for row in found}
    return {"orderflow_processes": alive}


async def _find_unknown(tx: AsyncConnection) -> Readings:
    unknown = await fetch(
        tx,
        _Unknown,
        """
        SELECT gateway, count(*),
               extract(epoch FROM now() - min(coalesce(sent_at, created_at)))::float8
        FROM payment_attempts WHERE state = 'unknown' GROUP BY gateway
        """,
        {},
    )
    return {
        "orderflow_payments_unknown": {(row.gateway,): row.count for row in unknown},
        "orderflow_payments_unknown_oldest_seconds": {
            (row.gateway,): row.oldest_s for row in unknown
        },
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
    queues = await fetch(tx, _Queue, "SELECT name, paused FROM queues", {})
    # What is not there is 0: a series that comes and goes cannot be told from one that was lost.
    open_: Reading = {(row.name, state.value): 0 for row in queues for state in OPEN}
    open_ |= {(row.queue, row.state): row.count for row in tasks}
    due: Reading = {(row.name,): 0 for row in queues}
    due |= {(row.queue,): row.oldest_due_s for row in tasks if row.oldest_due_s is not None}
    return {
        "orderflow_tasks": open_,
        "orderflow_tasks_oldest_due_seconds": due,
        "orderflow_queue_paused": {(row.name,): row.paused for row in queues},
    }
