"""The cache that processes share, in Redis: it may be slow, wiped or away, and nobody notices."""

# redis-py is typed in part only.
# pyright: reportUnknownMemberType=false

import asyncio
import logging
import time
from collections.abc import Callable
from typing import cast

import msgspec
import redis

from db import impatient
from db.snapshots import Snapshot
from ops.config import VERSION, Settings
from ops.telemetry import metrics

log = logging.getLogger(__name__)

# A Redis that failed is left alone this long, so that few requests find out.
AWAY_S = 5.0
# A larger one is read as quickly where it comes from, and crowds out many that are smaller.
VALUE_BYTES_MAX = 256_000

_PREFIX = "orderflow:cache"
_MS_PER_S = 1000

# The value, and for how long it still is one.
_FIND = "local found = redis.call('GET', KEYS[1]) return {found, redis.call('PTTL', KEYS[1])}"
# Each begins with the place of its snapshot, in so many digits, which compare as text.
_PUT = """
local kept = redis.call('GETRANGE', KEYS[1], 0, 39)
if kept > string.sub(ARGV[1], 1, 40) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_DIGITS = 20  # of each of the two numbers of a place


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A value as it was encoded, with its tags and a snapshot from before it was read."""

    seen: str
    tags: tuple[str, ...]
    value: msgspec.Raw


class Found(msgspec.Struct, frozen=True):
    """What Redis had, and for how long it may still be shown."""

    seen: Snapshot
    tags: tuple[str, ...]
    value: bytes
    left_s: float


class Depot:
    """The shared cache as one process sees it; every call answers in time, and none raises."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Use REDIS_URL; without one nothing is ever there."""
        self._within_s = settings.redis_timeout_s
        self._redis = client = impatient.connect(settings.redis_url, within_s=self._within_s)
        self._find = None if client is None else client.register_script(_FIND)
        self._put = None if client is None else client.register_script(_PUT)
        # Another release may write the same thing otherwise.
        self._release = f"{VERSION}-{settings.revision}"
        self._clock = clock
        self._away_until = 0.0

    async def find(self, history: str, key: str) -> Found | None:
        """Look a value up; None also if Redis has no answer."""
        if self._find is None or self._is_away():
            return None
        try:
            async with asyncio.timeout(self._within_s):
                answer = await self._find(keys=[self._name(history, key)])
        except (redis.RedisError, OSError, TimeoutError) as error:
            self._fail(error)
            return None
        found, left_ms = cast("tuple[bytes | None, int]", answer)
        return None if found is None else _decoded(found, left_ms)

    async def put(self, history: str, key: str, kept: Kept, *, keep_s: float) -> None:
        """Keep a value for so long, unless a newer one is there."""
        keep_ms = int(keep_s * _MS_PER_S)
        if self._put is None or self._is_away() or keep_ms <= 0:
            return
        place = b"".join(b"%0*d" % (_DIGITS, part) for part in Snapshot.parse(kept.seen).place)
        content = place + msgspec.msgpack.encode(kept)
        if len(content) > VALUE_BYTES_MAX:
            return
        name = self._name(history, key)
        try:
            async with asyncio.timeout(self._within_s):
                stored = await self._put(keys=[name], args=[content, keep_ms])
        except (redis.RedisError, OSError, TimeoutError) as error:
            self._fail(error)
        else:
            if not stored:
                metrics.cache_refusals.labels(level="redis").inc()

    async def close(self) -> None:
        """Let go of Redis."""
        if self._redis is not None:
            await self._redis.aclose()

    def _name(self, history: str, key: str) -> str:
        return f"{_PREFIX}:{history}:{self._release}:{key}"

    def _is_away(self) -> bool:
        return self._clock() < self._away_until

    def _fail(self, error: Exception) -> None:
        self._away_until = self._clock() + AWAY_S
        metrics.cache_errors.labels(level="redis").inc()
        log.warning("Each process caches alone for %g s, Redis is away: %r", AWAY_S, error)


def _decoded(content: bytes, left_ms: int) -> Found | None:
    """Read what was written; None of what is nothing of ours."""
    try:
        kept = msgspec.msgpack.decode(content[2 * _DIGITS :], type=Kept)
        seen = Snapshot.parse(kept.seen)
    except (msgspec.MsgspecError, ValueError):
        metrics.cache_errors.labels(level="redis").inc()
        return None
    # What has no end was written by nobody here.
    return Found(seen, kept.tags, bytes(kept.value), max(0, left_ms) / _MS_PER_S)
