"""Waiting, after the last fault, until the platform has come to rest by itself."""

import asyncio
from collections.abc import Callable, Sequence
from typing import LiteralString

import msgspec
import psycopg

# What is allowed after the last fault, with leases of five seconds.
WITHIN_S = 60.0
_POLL_S = 0.25
_SHOWN_MAX = 10

# An order that waits for a person is at rest, and so is whatever belongs to it.
_LEFT = """
WITH review AS (SELECT id FROM orders WHERE status = 'review')
SELECT 'order ' || id || ' is ' || status FROM orders
WHERE status IN ('placed', 'backordered', 'reserved')
UNION ALL
SELECT 'order ' || order_id || ': ' || kind || ' ' || id || ' is ' || state
FROM payment_attempts
WHERE state IN ('created', 'sent', 'unknown', 'action_required')
  AND order_id NOT IN (SELECT id FROM review)
UNION ALL
SELECT 'order ' || coalesce(order_id::text, 'none') || ': task ' || id || ', ' || kind || ', is '
       || state || ', attempt ' || attempt || ', due in '
       || extract(epoch FROM coalesce(lease_until, run_at) - now())::int || ' s: '
       || coalesce(last_error, 'no error')
FROM tasks
WHERE state IN ('ready', 'running') AND (order_id IS NULL
  OR order_id NOT IN (SELECT id FROM review))
  AND kind NOT IN ('prune', 'reconcile')
"""


# What belongs to orders in review is asked after again in two minutes: they are over now.
_HURRY = """
UPDATE tasks SET run_at = now() FROM orders
WHERE orders.id = order_id AND orders.status = 'review' AND state = 'ready'
RETURNING tasks.id, attempt
"""
_UNASKED = """
SELECT 'order ' || order_id || ': task ' || id || ', ' || kind || ', was not done again'
FROM tasks JOIN unnest(%s::bigint[], %s::int[]) AS hurried (task_id, tried) ON id = task_id
WHERE attempt = tried OR state = 'running'
"""


class Healing(msgspec.Struct, frozen=True):
    """How long it took, and what was not at rest even then; None if it never came to rest."""

    seconds: float | None
    left: tuple[str, ...] = ()


async def heal(
    url: str, told: Callable[[int], None] = lambda _: None, within_s: float = WITHIN_S
) -> Healing:
    """Wait until no order has anything left to do, a person's matters aside.

    Those are looked at once more first: what a fault hid from us is nobody's matter.
    """
    clock = asyncio.get_running_loop()
    began = clock.time()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        hurried: Sequence[tuple[int, int]] | None = None
        while True:
            left = await _texts(connection, _LEFT)
            if not left and hurried is None:
                hurried = await (await connection.execute(_HURRY)).fetchall()
            if hurried:
                ids, tried = ([pair[n] for pair in hurried] for n in (0, 1))
                left += await _texts(connection, _UNASKED, ids, tried)
            told(len(left))
            if not left:
                return Healing(clock.time() - began)
            if clock.time() - began > within_s:
                return Healing(None, tuple(left[:_SHOWN_MAX]))
            await asyncio.sleep(_POLL_S)


async def _texts(
    connection: psycopg.AsyncConnection, query: LiteralString, *params: Sequence[int]
) -> list[str]:
    found = await connection.execute(query, params)
    return [text for (text,) in await found.fetchall()]
