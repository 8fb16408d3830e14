"""Bulks carried out: a batch at a time, by any clock, each task once whoever dies."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import bulks, matching
from db.bulks import BATCH_MAX, BulkView
from db.engine import fetch, ring_after_commit, run
from db.matching import IN_STATE, MATCHES, PAYING, Filter
from domain.bulk import ACTS_ON, Alike, BulkAction, judge
from domain.task import ATTEMPTS_MAX, REPLAYED, Queue, State


class _Running(msgspec.Struct):
    id: UUID
    action: str
    filter: Any
    undoes: UUID | None
    id_seen: int
    id_max: int
    left_out: dict[str, int]
    allowed: int


async def step(tx: AsyncConnection) -> BulkView | None:
    """Carry out the next batch of a bulk, as many as its throttle allows by now.

    None if no bulk is running that another clock is not just at. Its row is locked until the
    transaction ends, and how far it came is written with what it changed: each task is changed
    once, whoever dies.
    """
    found = await fetch(
        tx,
        _Running,
        """
        SELECT id, action, filter, undoes, id_seen, id_max, left_out,
               floor(least(%(most)s, per_s * extract(epoch FROM now() - stepped_at)))::int
        FROM task_bulks WHERE state = 'running'
        ORDER BY stepped_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
        """,
        {"most": BATCH_MAX},
    )
    if not found or found[0].allowed < 1:
        return None
    bulk = found[0]
    await (_undo_batch(tx, bulk) if bulk.undoes else _act_batch(tx, bulk))
    return await bulks.get(tx, bulk.id)


class _Task(msgspec.Struct):
    id: int
    kind: str
    state: str
    due: bool
    paying: bool


async def _act_batch(tx: AsyncConnection, bulk: _Running) -> None:
    action = BulkAction(bulk.action)
    batch = await _next(tx, bulk, msgspec.convert(bulk.filter, Filter))
    safe: list[int] = []
    left_out = Counter(bulk.left_out)
    for task in batch:
        reason = judge(action, Alike(task.kind, State(task.state), task.due, task.paying))
        if reason is None:
            safe.append(task.id)
        else:
            left_out[reason.value] += 1
    changed = await _change(tx, bulk.id, action, safe)
    seen = [task.id for task in batch]
    await _progress(tx, bulk, seen, changed=changed, gone=len(safe) - changed, left_out=left_out)


async def _next(tx: AsyncConnection, bulk: _Running, wanted: Filter) -> list[_Task]:
    # Not locked: a lock that changes nothing would make a free task look begun.
    query: LiteralString = (
        "SELECT id, kind, state, run_at <= now(), "  # noqa: S608 - texts of ours alone
        + PAYING
        + " FROM tasks t WHERE "
        + IN_STATE[wanted.state]
        + " AND id > %(seen)s AND id <= %(id_max)s AND "
        + MATCHES
        + " ORDER BY id LIMIT %(limit)s"
    )
    given = {"seen": bulk.id_seen, "id_max": bulk.id_max, "limit": bulk.allowed}
    return await fetch(tx, _Task, query, {**matching.params(wanted), **given})


# How each task was is noted by the statement that changes it: neither can be without the other.
CHANGE: LiteralString = """
    WITH held AS (
        SELECT id, state, attempt, attempts_max, run_at, finished_at FROM tasks
        WHERE id = ANY (%(ids)b::bigint[]) AND state = ANY (%(states)b::text[])
        FOR UPDATE SKIP LOCKED
    ), changed AS (
        UPDATE tasks t
        SET state = %(to)s,
            run_at = CASE %(to)s WHEN 'ready' THEN now() ELSE t.run_at END,
            finished_at = CASE %(to)s WHEN 'ready' THEN NULL ELSE now() END,
            attempts_max = CASE WHEN t.state = 'dead' AND %(to)s = 'ready'
                           THEN t.attempt + fresh.attempts ELSE t.attempts_max END,
            payload = CASE WHEN t.state = 'dead' AND %(to)s = 'ready'
                      THEN payload || jsonb_build_object(%(mark)s::text, 'true')
                      ELSE payload END
        FROM held, unnest(%(kinds)b::text[], %(attempts)b::int[]) AS fresh (kind, attempts)
        WHERE t.id = held.id AND fresh.kind = t.kind
        RETURNING t.id, t.queue, held.state, held.attempt, held.attempts_max, held.run_at,
                  held.finished_at
    ), noted AS (
        INSERT INTO task_bulk_items (bulk_id, task_id, state, to_state, attempt, attempts_max,
                                     run_at, finished_at)
        SELECT %(bulk_id)s, id, state, %(to)s, attempt, attempts_max, run_at, finished_at
        FROM changed
    )
    SELECT queue, count(*) FROM changed GROUP BY queue
"""


class _Changed(msgspec.Struct):
    queue: str
    count: int


async def _change(
    tx: AsyncConnection, bulk_id: UUID, action: BulkAction, task_ids: Sequence[int]
) -> int:
    """Change what is still as it was judged, and note how it was; returns how many.

    What somebody just holds is skipped. The queues of what is to be done are rung after commit.
    """
    changed = await fetch(
        tx,
        _Changed,
        CHANGE,
        {
            "bulk_id": bulk_id,
            "ids": task_ids,
            "states": [state.value for state in ACTS_ON[action]],
            "to": (State.READY if action is BulkAction.REPLAY else State.CANCELLED).value,
            "mark": REPLAYED,
            "kinds": [kind.value for kind in ATTEMPTS_MAX],
            "attempts": list(ATTEMPTS_MAX.values()),
        },
    )
    if action is BulkAction.REPLAY:
        _ring(tx, [one.queue for one in changed])
    return sum(one.count for one in changed)


def _ring(tx: AsyncConnection, names: Sequence[str]) -> None:
    for queue in set(Queue) & set(names):
        ring_after_commit(tx, Queue(queue))


class _Undone(msgspec.Struct):
    seen: list[int]
    changed: int
    rung: list[str]


async def _undo_batch(tx: AsyncConnection, bulk: _Running) -> None:
    """Put back what is still as the bulk left it, and that nobody holds."""
    [undone] = await fetch(
        tx,
        _Undone,
        """
        WITH batch AS MATERIALIZED (
            SELECT * FROM task_bulk_items
            WHERE bulk_id = %(undoes)s AND task_id > %(seen)s ORDER BY task_id LIMIT %(limit)s
        ), held AS (
            SELECT t.id FROM tasks t JOIN batch b ON b.task_id = t.id
            WHERE t.state = b.to_state AND t.attempt = b.attempt
              AND CASE b.to_state WHEN 'ready' THEN t.run_at ELSE t.finished_at END = b.at
            FOR UPDATE OF t SKIP LOCKED
        ), changed AS (
            UPDATE tasks t SET state = b.state, run_at = b.run_at, finished_at = b.finished_at,
                attempts_max = b.attempts_max
            FROM held JOIN batch b ON b.task_id = held.id WHERE t.id = held.id
            RETURNING t.queue, t.state
        )
        SELECT (SELECT coalesce(array_agg(task_id ORDER BY task_id), '{}') FROM batch), count(*),
               coalesce(array_agg(DISTINCT queue) FILTER (WHERE state = 'ready'), '{}')
        FROM changed
        """,
        {"undoes": bulk.undoes, "seen": bulk.id_seen, "limit": bulk.allowed},
    )
    _ring(tx, undone.rung)
    gone = len(undone.seen) - undone.changed
    await _progress(tx, bulk, undone.seen, changed=undone.changed, gone=gone, left_out={})


async def _progress(  # noqa: PLR0913 - what there is to write
    tx: AsyncConnection,
    bulk: _Running,
    seen: Sequence[int],
    *,
    changed: int,
    gone: int,
    left_out: dict[str, int],
) -> None:
    """Write how far a bulk came; a batch that is not full was its last."""
    await run(
        tx,
        """
        UPDATE task_bulks
        SET id_seen = %(seen)s, changed = changed + %(changed)s, gone = gone + %(gone)s,
            left_out = %(left_out)s::jsonb, stepped_at = now(),
            state = CASE WHEN %(last)s THEN 'done' ELSE state END,
            finished_at = CASE WHEN %(last)s THEN now() END
        WHERE id = %(id)s
        """,
        {
            "id": bulk.id,
            "seen": seen[-1] if seen else bulk.id_seen,
            "changed": changed,
            "gone": gone,
            "left_out": msgspec.json.encode(left_out).decode(),
            "last": len(seen) < bulk.allowed,
        },
    )
