"""Faults of Redis: emptied, killed, full, read-only, in disorder, frozen, unheard."""

# redis-py is typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from signal import SIGCONT, SIGSTOP

import dramatiq
from redis.asyncio import Redis

from db import doorbell
from domain.task import Queue
from ops.config import Settings
from ops.local import valkey
from ops.storm.arena import Arena
from ops.storm.faults.fault import Blow, Fault, struck, until
from ops.storm.redis_wire import Command

LANE = "redis"
SERVER = "valkey"
_TIMEOUT_S = 2.0
_LOST_SHARE = 0.3
_RING_EVERY_S = 0.1


@asynccontextmanager
async def _client(arena: Arena) -> AsyncGenerator[Redis]:
    client = Redis.from_url(arena.redis_url, socket_timeout=_TIMEOUT_S)
    try:
        yield client
    finally:
        await client.aclose()


async def _answering(arena: Arena) -> None:
    await until(partial(valkey.answers, arena.redis_url))


async def empty(arena: Arena) -> None:
    """Make it a Redis that knows nothing."""
    async with _client(arena) as client:
        await client.flushall()


async def _flush(blow: Blow) -> str:
    async with _client(blow.arena) as client:
        keys = await client.dbsize()
        await client.flushall()
    return struck(keys, "keys gone")


async def _kill(blow: Blow) -> str:
    """Kill it, and have nothing of its log when it is back."""
    await blow.arena.servers.kill(SERVER)
    await _answering(blow.arena)
    await empty(blow.arena)
    return "killed, came back empty"


async def _down(blow: Blow) -> str:
    await blow.arena.servers.stop(SERVER)
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        await blow.arena.servers.start(SERVER)
    await _answering(blow.arena)
    return f"away {blow.seconds:.0f} s"


async def _out_of_memory(blow: Blow) -> str:
    async with _client(blow.arena) as client:
        await client.config_set("maxmemory", "1")
        try:
            await asyncio.sleep(blow.seconds)
            errors = (await client.info("errorstats")).get("errorstat_OOM", {"count": 0})
        finally:
            await client.config_set("maxmemory", "0")
    return struck(errors["count"], "refused")


async def _read_only(blow: Blow) -> str:
    async with _client(blow.arena) as client:
        # A replica of nobody refuses writes and answers reads, as one does after a failover.
        await client.replicaof("127.0.0.1", "1")
        try:
            await asyncio.sleep(blow.seconds)
            errors = (await client.info("errorstats")).get("errorstat_READONLY", {"count": 0})
        finally:
            await client.replicaof("NO", "ONE")
    return struck(errors["count"], "refused")


async def _wrong_type(blow: Blow) -> str:
    keys = [f"dramatiq:{queue}{suffix}" for queue in Queue for suffix in ("", ".msgs")]
    async with _client(blow.arena) as client:
        for key in keys:
            await client.set(key, "not a queue")
        try:
            await asyncio.sleep(blow.seconds)
        finally:
            await client.delete(*keys)
    return f"{len(keys)} keys spoiled"


async def _freeze(blow: Blow) -> str:
    child = blow.arena.servers.children[SERVER]
    child.signal(SIGSTOP)
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        child.signal(SIGCONT)
    return f"frozen {blow.seconds:.0f} s"


async def _lose_replies(command: Command, blow: Blow) -> str:
    lost = blow.arena.tapped.lost
    before = lost.struck
    lost.command, lost.dice = command, lambda: blow.chance.random() < _LOST_SHARE
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        lost.dice = None
    return struck(lost.struck - before, "replies lost")


async def _cut(blow: Blow) -> str:
    return struck(blow.arena.tapped.redis.cut(), "links cut")


async def _triple(blow: Blow) -> str:
    """Ring every queue three times in any order, over and over, whether there is work or not."""
    broker = doorbell.broker(Settings(redis_url=blow.arena.redis_url))
    rings, until = 0, asyncio.get_running_loop().time() + blow.seconds
    while asyncio.get_running_loop().time() < until:
        for queue in blow.chance.sample([*Queue] * 3, 3 * len(Queue)):
            await asyncio.to_thread(broker.enqueue, _ring(queue))
            rings += 1
        await asyncio.sleep(_RING_EVERY_S)
    await asyncio.to_thread(broker.client.close)
    return f"{rings} rings"


def _ring(queue: Queue) -> "dramatiq.Message[object]":
    return dramatiq.Message(
        queue_name=queue.value, actor_name=queue.value, args=(), kwargs={}, options={}
    )


async def mend(arena: Arena) -> None:
    """Have Redis as it was, whatever is left of a fault."""
    arena.tapped.lost.dice = None
    arena.servers.children[SERVER].signal(SIGCONT)
    await arena.servers.start(SERVER)
    await _answering(arena)
    async with _client(arena) as client:
        await client.replicaof("NO", "ONE")
        await client.config_set("maxmemory", "0")


FAULTS = (
    Fault(name="redis-flushall", lane=LANE, strike=_flush),
    Fault(name="redis-kill", lane=LANE, seconds=1.0, strike=_kill),
    Fault(name="redis-down", lane=LANE, seconds=30.0, strike=_down),
    Fault(name="redis-oom", lane=LANE, seconds=5.0, strike=_out_of_memory),
    Fault(name="redis-readonly", lane=LANE, seconds=5.0, strike=_read_only),
    Fault(name="redis-wrongtype", lane=LANE, seconds=5.0, strike=_wrong_type),
    Fault(name="redis-freeze", lane=LANE, seconds=10.0, strike=_freeze),
    *(
        Fault(
            name=f"redis-lost-{command}",
            lane=LANE,
            seconds=4.0,
            strike=partial(_lose_replies, command),
        )
        for command in Command
    ),
    Fault(name="redis-cut", lane=LANE, strike=_cut),
    Fault(name="rings-tripled", lane=LANE, seconds=4.0, strike=_triple),
)
