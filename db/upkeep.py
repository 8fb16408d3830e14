"""Upkeep of the ledger of work: what is due, what workers lost, what nobody needs any more."""

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from db.tasks import KNOWN, as_task
from domain.task import Queue, Task

# Expired leases taken back in one transaction.
EXPIRED_BATCH_MAX = 500


async def due_queues(tx: AsyncConnection) -> frozenset[Queue]:
    """Name the queues that have work to do now and are not paused."""
    names = await fetch(
        tx,
        str,
        """
        SELECT name FROM queues WHERE NOT paused AND name = ANY (%(known)b::text[]) AND EXISTS (
            SELECT FROM tasks WHERE queue = name AND state = 'ready' AND run_at <= now()
              AND id <= coalesce(drain_to, id))
        """,
        {"known": list(Queue)},
    )
    return frozenset(Queue(name) for name in names)


async def expired(tx: AsyncConnection) -> list[Task]:
    """Lock tasks whose worker let the lease run out."""
    return await fetch(
        tx,
        as_task,
        """
        SELECT id, kind, order_id, payload, attempt, attempts_max, traceparent FROM tasks
        WHERE state = 'running' AND lease_until < now() AND kind = ANY (%(known)b::text[])
        ORDER BY lease_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        """,
        {"known": KNOWN, "limit": EXPIRED_BATCH_MAX},
    )


async def prune(tx: AsyncConnection, *, keep_days: int, limit: int) -> int:
    """Delete done tasks older than `keep_days`; returns how many went.

    Only the first `limit` done tasks are looked at, so that finding none costs no more.
    """
    return await run(
        tx,
        """
        DELETE FROM tasks WHERE id IN (
            SELECT id FROM (
                SELECT id, finished_at FROM tasks WHERE state = 'done' ORDER BY id LIMIT %(limit)s
            ) AS first WHERE finished_at < now() - make_interval(days => %(days)s))
        """,
        {"days": keep_days, "limit": limit},
    )
