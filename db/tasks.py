"""The ledger of work: written with its cause, claimed with SKIP LOCKED, ended under its attempt."""

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, ring_after_commit, run
from domain.order import Change
from domain.task import ATTEMPTS_MAX, QUEUE_OF, Kind, NewTask, Queue, State, Task, Verdict
from ops.telemetry import metrics, trace

log = logging.getLogger(__name__)

ERROR_LENGTH_MAX = 500

# Of a bigint column.
ID_MAX = 2**63 - 1

# Work of a newer version is left for processes that know how to do it.
KNOWN = [kind.value for kind in Kind]


class _Limit(msgspec.Struct):
    paused: bool
    running_max: int | None
    drain_to: int | None


class _Room(msgspec.Struct):
    """How many tasks a queue may take on, none of them with an id beyond `id_max`."""

    limit: int
    id_max: int = ID_MAX


def as_task(task_id: int, kind: str, *columns: Any) -> Task:  # noqa: ANN401 - those of a Task
    """Read a row of tasks."""
    return Task(task_id, Kind(kind), *columns)


async def insert(tx: AsyncConnection, changes: Sequence[Change]) -> None:
    """Write the work that follows from changes of orders; its queues are rung after commit."""
    new = [(change, task) for change in changes for task in change.tasks]
    if not new:
        return
    for queue in {QUEUE_OF[task.kind] for _, task in new}:
        ring_after_commit(tx, queue)
    await run(
        tx,
        """
        INSERT INTO tasks (queue, kind, order_id, payload, attempts_max, traceparent)
        SELECT queue, kind, order_id, payload::jsonb, attempts_max, traceparent
        FROM unnest(%(queue)b::text[], %(kind)b::text[], %(order_id)b::uuid[],
                    %(payload)b::text[], %(attempts_max)b::int[], %(traceparent)b::text[])
          AS t (queue, kind, order_id, payload, attempts_max, traceparent)
        """,
        {
            "queue": [QUEUE_OF[task.kind].value for _, task in new],
            "kind": [task.kind.value for _, task in new],
            "order_id": [change.order.id for change, _ in new],
            "payload": [msgspec.json.encode(task.payload).decode() for _, task in new],
            "attempts_max": [ATTEMPTS_MAX[task.kind] for _, task in new],
            "traceparent": [change.order.traceparent for change, _ in new],
        },
    )


async def schedule(tx: AsyncConnection, task: NewTask, *, order_id: UUID | None = None) -> None:
    """Write one task, for an order that does not change or for none.

    It belongs to the trace of the order, or else to that of the request at hand.
    """
    ring_after_commit(tx, QUEUE_OF[task.kind])
    await run(
        tx,
        """
        INSERT INTO tasks (queue, kind, order_id, payload, attempts_max, traceparent)
        VALUES (%(queue)s, %(kind)s, %(order_id)s, %(payload)s::jsonb, %(max)s,
                coalesce((SELECT traceparent FROM orders WHERE id = %(order_id)s), %(trace)s))
        """,
        {
            "queue": QUEUE_OF[task.kind].value,
            "kind": task.kind.value,
            "order_id": order_id,
            "payload": msgspec.json.encode(task.payload).decode(),
            "max": ATTEMPTS_MAX[task.kind],
            "trace": trace.given(),
        },
    )


async def claim(tx: AsyncConnection, queue: Queue, *, limit: int) -> list[Task]:
    """Lock up to `limit` due tasks, oldest first; those that others hold are skipped.

    For stages that touch only Postgres: effect and `finish` belong in the same transaction,
    whose end gives the locks back. What is `begun` belongs on a lease instead.
    """
    room = await _room(tx, queue, limit)
    # A row lock leaves the id of its transaction, xmax, in the row for good; whoever changes the
    # row leaves a new one without. So xmax in a row that is free tells of a run without a result.
    return await fetch(
        tx,
        as_task,
        """
        SELECT id, kind, order_id, payload, attempt + 1, attempts_max, traceparent,
               attempt > 0 OR xmax <> '0'::xid,
               extract(epoch FROM clock_timestamp() - run_at)::float8
        FROM tasks
        WHERE queue = %(queue)s AND state = 'ready' AND run_at <= now()
          AND kind = ANY (%(known)b::text[]) AND id <= %(id_max)s
        ORDER BY run_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        """,
        {"queue": queue.value, "known": KNOWN, "limit": room.limit, "id_max": room.id_max},
    )


async def lease_one(tx: AsyncConnection, task: Task, *, lease_s: float) -> Task | None:
    """Claim a task as `lease` does; None if it is somebody else's by now, or its queue paused."""
    room = await _room(tx, QUEUE_OF[task.kind], 1)
    if not room.limit or task.id > room.id_max:
        return None
    leased = await fetch(
        tx,
        as_task,
        """
        UPDATE tasks SET state = 'running', attempt = attempt + 1,
            lease_until = now() + make_interval(secs => %(lease_s)s)
        WHERE id = (SELECT id FROM tasks
                    WHERE id = %(id)s AND state = 'ready' AND attempt = %(attempt)s - 1
                    FOR UPDATE SKIP LOCKED)
        RETURNING id, kind, order_id, payload, attempt, attempts_max, traceparent
        """,
        {"id": task.id, "attempt": task.attempt, "lease_s": lease_s},
    )
    return leased[0] if leased else None


async def lease(tx: AsyncConnection, queue: Queue, *, limit: int, lease_s: float) -> list[Task]:
    """Claim up to `limit` due tasks for work outside the database and count the attempt.

    The claim outlives the transaction: until `finish`, or until `lease_s` have passed.
    """
    room = await _room(tx, queue, limit)
    return await fetch(
        tx,
        as_task,
        """
        WITH due AS MATERIALIZED (
            SELECT id, xmax <> '0'::xid AS begun FROM tasks
            WHERE queue = %(queue)s AND state = 'ready' AND run_at <= now()
              AND kind = ANY (%(known)b::text[]) AND id <= %(id_max)s
            ORDER BY run_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        )
        UPDATE tasks t
        SET state = 'running', attempt = attempt + 1,
            lease_until = now() + make_interval(secs => %(lease_s)s)
        FROM due WHERE t.id = due.id
        RETURNING t.id, kind, order_id, payload, attempt, attempts_max, traceparent, begun,
                  extract(epoch FROM clock_timestamp() - run_at)::float8
        """,
        {
            "queue": queue.value,
            "known": KNOWN,
            "limit": room.limit,
            "id_max": room.id_max,
            "lease_s": lease_s,
        },
    )


async def _room(tx: AsyncConnection, queue: Queue, limit: int) -> _Room:
    [seen] = await fetch(
        tx,
        _Limit,
        "SELECT paused, running_max, drain_to FROM queues WHERE name = %(queue)s",
        {"queue": queue.value},
    )
    room = _Room(limit, ID_MAX if seen.drain_to is None else seen.drain_to)
    if seen.paused:
        return msgspec.structs.replace(room, limit=0)
    if seen.running_max is None:
        return room
    # Only a limited queue pays for the lock that makes its count exact. The count is a statement
    # of its own: begun after the wait for the lock, it sees what the other claim has committed.
    held = "SELECT name FROM queues WHERE name = %(queue)s FOR NO KEY UPDATE"
    await run(tx, held, {"queue": queue.value})
    [running] = await fetch(
        tx,
        int,
        "SELECT count(*) FROM tasks WHERE queue = %(queue)s AND state = 'running'",
        {"queue": queue.value},
    )
    left = max(0, min(limit, seen.running_max - running))
    return msgspec.structs.replace(room, limit=left)


async def finish(
    tx: AsyncConnection, verdicts: Sequence[tuple[Task, Verdict]], *, leased: bool
) -> frozenset[int]:
    """End attempts; returns the ids that were still ours.

    An attempt that is no longer current, because its lease ran out and somebody else took
    over, changes nothing. `leased` tells tasks of `lease` from those of `claim`.
    """
    if not verdicts:
        return frozenset()
    won = await fetch(
        tx,
        int,
        """
        UPDATE tasks t
        SET state = v.state, attempt = v.attempt, lease_until = NULL, last_error = v.error,
            attempts_max = t.attempts_max + v.unspent,
            run_at = CASE v.state WHEN 'ready'
                     THEN now() + make_interval(secs => v.delay_s) ELSE t.run_at END,
            finished_at = CASE v.state WHEN 'ready' THEN NULL ELSE now() END
        FROM unnest(%(id)b::bigint[], %(attempt)b::int[], %(state)b::text[], %(error)b::text[],
                    %(delay_s)b::float8[], %(unspent)b::int[])
          AS v (id, attempt, state, error, delay_s, unspent)
        WHERE t.id = v.id AND t.state = %(held)s AND t.attempt = v.attempt - %(uncounted)s
        RETURNING t.id
        """,
        {
            "id": [task.id for task, _ in verdicts],
            "attempt": [task.attempt for task, _ in verdicts],
            "state": [verdict.state.value for _, verdict in verdicts],
            "error": [_shorten(verdict.error) for _, verdict in verdicts],
            "delay_s": [verdict.delay_s for _, verdict in verdicts],
            "unspent": [int(not verdict.spent) for _, verdict in verdicts],
            "held": (State.RUNNING if leased else State.READY).value,
            "uncounted": 0 if leased else 1,
        },
    )
    ours = frozenset(won)
    _tell_overtaken([task for task, _ in verdicts if task.id not in ours])
    return ours


def _tell_overtaken(late: Sequence[Task]) -> None:
    for task in late:
        log.warning(
            "Task %d is not held any more: attempt %d writes nothing", task.id, task.attempt
        )
        metrics.tasks_overtaken.labels(kind=task.kind.value).inc()


def _shorten(error: str | None) -> str | None:
    return None if error is None else error.replace("\0", "")[:ERROR_LENGTH_MAX]


async def hurry(tx: AsyncConnection, order_ids: Sequence[UUID], queue: Queue) -> None:
    """Have done now what a queue has to do for orders later; if so it is rung after commit.

    The caller may hold locks of the orders. What somebody is just claiming is skipped, as they
    wait for these locks and then see what the caller did.
    """
    hurried = await run(
        tx,
        """
        UPDATE tasks SET run_at = now()
        WHERE id IN (
            SELECT id FROM tasks
            WHERE order_id = ANY (%(ids)b::uuid[]) AND queue = %(queue)s AND state = 'ready'
              AND run_at > now()
            FOR UPDATE SKIP LOCKED)
        """,
        {"ids": list(order_ids), "queue": queue.value},
    )
    if hurried:
        ring_after_commit(tx, queue)


async def call_back(tx: AsyncConnection, queue: Queue, *, within_s: float) -> None:
    """Have done within `within_s`, spread at random, what a queue has to do later than that."""
    await run(
        tx,
        """
        UPDATE tasks SET run_at = now() + random() * make_interval(secs => %(within_s)s)
        WHERE queue = %(queue)s AND state = 'ready'
          AND run_at > now() + make_interval(secs => %(within_s)s)
        """,
        {"queue": queue.value, "within_s": within_s},
    )
