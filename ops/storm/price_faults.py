"""What breaks in a storm of price changes: Redis in every way, the line to Postgres, Postgres."""

# redis-py is typed in part only.
# pyright: reportUnknownMemberType=false

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from signal import SIGCONT, SIGSTOP

import msgspec
import psycopg
from redis.asyncio import Redis

from ops.local import postgres, valkey
from ops.local.up import Running
from ops.storm.faults.fault import until

# Longer than anybody waits for an answer.
FREEZE_S = 1.5
_SERVER, _DATABASE = "valkey", "postgres"
_CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s
"""


class Fault(msgspec.Struct, frozen=True):
    """Something that breaks; in an outage of Postgres nobody can tell what has changed."""

    name: str
    strike: Callable[[Running], Awaitable[None]]
    is_outage: bool = False


async def wipe(running: Running) -> None:
    """Leave nothing in Redis."""
    async with Redis.from_url(running.servers.redis_url) as client:
        await client.flushall()


async def kill_redis(running: Running) -> None:
    """Kill Redis; it comes back."""
    await running.servers.fleet.kill(_SERVER)
    await until(partial(valkey.answers, running.servers.redis_url))


async def freeze_redis(running: Running) -> None:
    """Have Redis answer nobody for a while."""
    await _freeze(running, _SERVER)


async def freeze_postgres(running: Running) -> None:
    """Have Postgres answer nobody for a while."""
    await _freeze(running, _DATABASE)


async def cut(running: Running) -> None:
    """Cut the lines over which processes ask what has changed."""
    with suppress(psycopg.OperationalError):
        async with await psycopg.AsyncConnection.connect(
            running.servers.database_url, autocommit=True
        ) as connection:
            await connection.execute(_CUT, ["orderflow cache"])


async def kill_postgres(running: Running) -> None:
    """Kill Postgres; it recovers."""
    await running.servers.fleet.kill(_DATABASE)
    await until(partial(postgres.answers, running.servers.database_url))


async def _freeze(running: Running, server: str) -> None:
    group = running.servers.fleet.pids()[server]
    os.killpg(group, SIGSTOP)
    try:
        await asyncio.sleep(FREEZE_S)
    finally:
        os.killpg(group, SIGCONT)


FAULTS: Sequence[Fault] = (
    Fault("wipe", wipe),
    Fault("cut", cut),
    Fault("kill redis", kill_redis),
    Fault("freeze redis", freeze_redis),
    Fault("freeze postgres", freeze_postgres, is_outage=True),
    Fault("kill postgres", kill_postgres, is_outage=True),
)
