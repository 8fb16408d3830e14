"""Persisted queries: documents by their SHA-256, in the process and in Redis, that may lose any."""

# redis-py is typed in part only.
# pyright: reportUnknownMemberType=false

import asyncio
import hashlib
import logging
import time
from typing import cast

import redis

from db import impatient

log = logging.getLogger(__name__)

# A Redis that failed is left alone this long, so that few requests find out.
AWAY_S = 5.0
KEEP_S = 86_400
# A query of more is sent each time.
CHARS_MAX = 8_000
# As many as an application has, several times; strangers who register more push out each other's.
KEPT_MAX = 200
# In Redis each has a place that its hash gives, of so many: 32 MB at most.
_PLACES = 4_096
_PREFIX = "orderflow:query:"


def digest(query: str) -> str:
    """Give the hash that names a query."""
    return hashlib.sha256(query.encode()).hexdigest()


class Persisted:
    """The persisted queries as one process knows them."""

    def __init__(self, redis_url: str, *, within_s: float) -> None:
        """Keep them in the Redis at `redis_url`, too; without one, in this process alone."""
        self._redis = impatient.connect(redis_url, within_s=within_s)
        self._within_s = within_s
        self._kept: dict[str, str] = {}
        self._away_until = 0.0

    async def find(self, sha256: str) -> str | None:
        """Give the query of a hash, None if it has to be sent once more."""
        query = self._kept.get(sha256)
        if query is None:
            found = await self._ask("GET", _place(sha256))
            query = found.decode(errors="replace") if isinstance(found, bytes) else None
            if query is None or digest(query) != sha256:
                return None
        self._keep(sha256, query)
        return query

    async def put(self, query: str) -> None:
        """Keep a query; one that is too long, or for which Redis is not there, is not."""
        sha256 = digest(query)
        if len(query) > CHARS_MAX or sha256 in self._kept:
            return
        self._keep(sha256, query)
        await self._ask("SET", _place(sha256), query, "EX", KEEP_S)

    def _keep(self, sha256: str, query: str) -> None:
        # To the end, where those are that are wanted.
        self._kept.pop(sha256, None)
        self._kept[sha256] = query
        if len(self._kept) > KEPT_MAX:
            del self._kept[next(iter(self._kept))]

    async def _ask(self, *command: str | int) -> object:
        if self._redis is None or time.monotonic() < self._away_until:
            return None
        try:
            async with asyncio.timeout(self._within_s):
                return cast("object", await self._redis.execute_command(*command))
        except (redis.RedisError, OSError, TimeoutError) as error:
            self._away_until = time.monotonic() + AWAY_S
            log.warning("Persisted queries are of each process alone, Redis is away: %r", error)
            return None

    async def close(self) -> None:
        """Let go of Redis."""
        if self._redis is not None:
            await self._redis.aclose()


def _place(sha256: str) -> str:
    return f"{_PREFIX}{int(sha256, 16) % _PLACES}"
