"""A worker that is frozen between a call and its record, and wakes while another does its work."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from signal import SIGCONT, SIGSTOP
from typing import LiteralString

import psycopg
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from domain.task import Queue
from ops.storm.arena import LEASE_S, Arena
from ops.storm.faults import postgres
from ops.storm.faults.fault import Blow, Fault, Untouched, until
from ops.telemetry import metrics

# Half the gateway's timeout: what was called for meanwhile waits for its answer.
_CALLING_S = 1.0
# What the other worker has called for is answered and recorded by then.
_ANSWERED_S = 1.0
# The lease, the next sweep, and a moment for the other worker to call in its turn.
_TAKEN_WITHIN_S = LEASE_S + 2.0
# It has other work to wake to, and two cores to share.
_RECORDED_WITHIN_S = 5.0
_LASTS_S = 9.0

_HELD = "SELECT id, attempt FROM tasks WHERE queue = %s AND state = 'running'"
_LAPSING = """
SELECT count(*) FROM tasks WHERE id = ANY (%s) AND lease_until < now() + interval '200 ms'
"""
_TAKEN = """
SELECT count(*) FROM tasks
JOIN unnest(%s::bigint[], %s::int[]) AS held (held_id, held_attempt) ON id = held_id
WHERE state = 'running' AND attempt > held_attempt
"""


async def _zombie(blow: Blow) -> str:
    """Have a worker wake with answers to calls that another worker is making again."""
    twins = blow.arena.twins("worker")
    await postgres.answering(blow.arena)
    async with await psycopg.AsyncConnection.connect(
        blow.arena.database_url, autocommit=True
    ) as connection:
        for name in blow.chance.sample(twins, len(twins)):
            if seen := await _freeze(blow.arena, name, connection):
                return seen
    raise Untouched("no worker had called for anything")


async def _freeze(arena: Arena, name: str, connection: psycopg.AsyncConnection) -> str:
    """Freeze one worker; says what was seen, or nothing if it had called for nothing."""
    child, gateway = arena.fleet.children[name], arena.tapped.gateway
    before = await _overtaken(arena)
    try:
        gateway.freeze()
        await asyncio.sleep(_CALLING_S)
        child.signal(SIGSTOP)
        gateway.mend()
        await asyncio.sleep(_ANSWERED_S)
        ids, attempts = await _held(connection)
        if not ids:
            return ""
        await _counted(connection, _LAPSING, ids)
        gateway.freeze()
        again = await _counted(connection, _TAKEN, ids, attempts)
        child.signal(SIGCONT)
        refused = await _refused(arena, before) if again else 0
    finally:
        child.signal(SIGCONT)
        gateway.mend()
    told = f"{name} lost {len(ids)} calls, woke while {again} were made again"
    if not refused:
        raise Untouched(f"{told}, of which none was refused")
    return f"{told}: {refused} refused"


async def _refused(arena: Arena, before: int) -> int:
    """Wait until results were refused, as the worker that woke had lost their tasks; how many."""
    count = 0

    async def some() -> bool:
        nonlocal count
        count = await _overtaken(arena) - before
        return count > 0

    with suppress(TimeoutError):
        async with asyncio.timeout(_RECORDED_WITHIN_S):
            await until(some)
    return count


async def _held(connection: psycopg.AsyncConnection) -> tuple[list[int], list[int]]:
    found = await (await connection.execute(_HELD, [Queue.PAYMENTS.value])).fetchall()
    return [int(row[0]) for row in found], [int(row[1]) for row in found]


async def _counted(
    connection: psycopg.AsyncConnection, query: LiteralString, *params: Sequence[int]
) -> int:
    """Wait until there is something to count, or for as long as a lease lasts; how many."""
    count = 0

    async def some() -> bool:
        nonlocal count
        row = await (await connection.execute(query, params)).fetchone()
        count = int(row[0]) if row else 0
        return count > 0

    with suppress(TimeoutError):
        async with asyncio.timeout(_TAKEN_WITHIN_S):
            await until(some)
    return count


async def _overtaken(arena: Arena) -> int:
    return await asyncio.to_thread(overtaken, arena.env["PROMETHEUS_MULTIPROC_DIR"])


def overtaken(folder: str) -> int:
    """Count the results that were refused because the task was somebody else's by then."""
    registry = CollectorRegistry()
    _ = MultiProcessCollector(registry, folder)
    names = {described.name for described in metrics.tasks_overtaken.describe()}
    return int(sum(s.value for m in registry.collect() if m.name in names for s in m.samples))


FAULTS = (Fault(name="zombie-worker", lane="worker", seconds=_LASTS_S, strike=_zombie),)
