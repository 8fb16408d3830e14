"""Faults of Postgres: restarted, cut at the instant of a commit, frozen, full, locked, in knots."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from signal import SIGQUIT

import psycopg
from psycopg import errors

from ops.local import postgres
from ops.storm.arena import Arena
from ops.storm.faults.fault import Blow, Fault, struck, until
from ops.storm.plan import prices
from ops.storm.postgres_wire import When

LANE = "postgres"
SERVER = "postgres"
_POLL_S = 0.05
# Of all commits while it lasts: most orders still get through, some after several cuts.
_CUT_SHARE = 0.1
_CONNECTIONS_MAX = 200
# The order in which the platform never locks them.
_KNOT = tuple(sorted(prices(), reverse=True))
_KNOT_PAUSE_S = 0.01


@asynccontextmanager
async def _outside(arena: Arena) -> AsyncGenerator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(arena.database_url) as connection:
        yield connection


async def answering(arena: Arena) -> None:
    """Wait until Postgres is there, and has a connection left."""
    await until(partial(postgres.answers, arena.database_url))


async def _restart(blow: Blow) -> str:
    """Stop it as `pg_ctl stop -m immediate` does: the next start has to recover."""
    child = blow.arena.servers.children[SERVER]
    deaths = child.deaths

    async def is_dead() -> bool:
        return child.deaths > deaths

    child.signal(SIGQUIT)
    await until(is_dead)
    await answering(blow.arena)
    return "restarted"


async def _cut(blow: Blow) -> str:
    return struck(blow.arena.tapped.postgres.cut(), "links cut")


async def _cut_commits(when: When, blow: Blow) -> str:
    commits = blow.arena.tapped.commits
    before = commits.struck
    commits.when, commits.dice = when, lambda: blow.chance.random() < _CUT_SHARE
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        commits.dice = None
    return struck(commits.struck - before, "commits cut")


async def _freeze(blow: Blow) -> str:
    blow.arena.tapped.postgres.freeze()
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        blow.arena.tapped.postgres.mend()
    return f"frozen {blow.seconds:.0f} s"


async def _slow(blow: Blow) -> str:
    blow.arena.tapped.postgres.delay_s = 0.05
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        blow.arena.tapped.postgres.mend()
    return f"50 ms each way for {blow.seconds:.0f} s"


async def _exhaust(blow: Blow) -> str:
    """Take every connection the server has, those of the platform among them."""
    async with AsyncExitStack() as held:
        taken = 0
        until = asyncio.get_running_loop().time() + blow.seconds
        blow.arena.tapped.postgres.cut()
        while asyncio.get_running_loop().time() < until and taken < _CONNECTIONS_MAX:
            try:
                await held.enter_async_context(_outside(blow.arena))
                taken += 1
            except psycopg.OperationalError:
                # None is left; a client of the platform may still give one back.
                await asyncio.sleep(_POLL_S)
    return struck(taken, "connections held")


async def _hold_locks(blow: Blow) -> str:
    async with _outside(blow.arena) as connection:
        # Who holds it now, frozen maybe, is cut off before by the platform's own timeouts.
        await connection.execute("SET lock_timeout = '10s'")
        await connection.execute("LOCK TABLE stock IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(blow.seconds)
        await connection.rollback()
    return f"stock locked {blow.seconds:.0f} s"


async def _knot(blow: Blow) -> str:
    """Lock stock row by row against the order in which the platform does."""
    until, knots, tries = asyncio.get_running_loop().time() + blow.seconds, 0, 0
    async with _outside(blow.arena) as connection:
        await connection.execute("SET deadlock_timeout = '50ms'")
        await connection.commit()
        while asyncio.get_running_loop().time() < until:
            tries += 1
            try:
                for sku in _KNOT:
                    await connection.execute("SELECT FROM stock WHERE sku = %s FOR UPDATE", [sku])
                    await asyncio.sleep(_KNOT_PAUSE_S)
            except errors.DeadlockDetected:
                knots += 1
            await connection.rollback()
            await asyncio.sleep(_KNOT_PAUSE_S)
    return struck(knots, f"deadlocks in {tries} times crosswise")


async def mend(arena: Arena) -> None:
    """Have Postgres reachable as it was, whatever is left of a fault."""
    arena.tapped.commits.dice = None
    arena.tapped.postgres.mend()
    await answering(arena)


FAULTS = (
    Fault(name="postgres-restart", lane=LANE, seconds=2.0, strike=_restart),
    Fault(name="postgres-cut", lane=LANE, strike=_cut),
    *(
        Fault(
            name=f"postgres-cut-{when}-commit",
            lane=LANE,
            seconds=3.0,
            strike=partial(_cut_commits, when),
        )
        for when in When
    ),
    Fault(name="postgres-freeze", lane=LANE, seconds=5.0, strike=_freeze),
    Fault(name="postgres-slow", lane=LANE, seconds=2.0, strike=_slow),
    Fault(name="pool-exhausted", lane=LANE, seconds=3.0, strike=_exhaust),
    Fault(name="lock-timeout", lane=LANE, seconds=2.0, strike=_hold_locks),
    Fault(name="deadlock", lane=LANE, seconds=4.0, strike=_knot),
)
