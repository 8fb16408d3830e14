"""What the platform's processes and servers hold on to: memory, files, connections, keys."""

# redis-py is typed in part only.
# pyright: reportUnknownMemberType=false

from collections.abc import Mapping

import msgspec
import psutil
import psycopg
from redis.asyncio import Redis

from ops.storm.arena import Arena


class Resources(msgspec.Struct, frozen=True):
    """By process where there is one: megabytes and open files of it and all its children."""

    rss_mb: Mapping[str, float]
    files: Mapping[str, int]
    connections: int
    keys: int


async def resources(arena: Arena) -> Resources:
    """Measure what is held now."""
    pids = arena.fleet.pids()
    measured = {name: _one(pid) for name, pid in pids.items()}
    client = Redis.from_url(arena.redis_url)
    try:
        keys = int(await client.dbsize())
    finally:
        await client.aclose()
    async with await psycopg.AsyncConnection.connect(arena.database_url) as connection:
        found = await connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'orderflow %'"
        )
        row = await found.fetchone()
    return Resources(
        {name: rss for name, (rss, _) in measured.items()},
        {name: files for name, (_, files) in measured.items()},
        int(row[0]) if row else 0,
        keys,
    )


def _one(pid: int) -> tuple[float, int]:
    root = psutil.Process(pid)
    rss, files = 0.0, 0
    for process in [root, *root.children(recursive=True)]:
        try:
            rss += process.memory_info().rss / 1e6
            files += process.num_fds()
        except psutil.NoSuchProcess:
            # It ended between being listed and being asked; it holds nothing then.
            continue
    return rss, files
