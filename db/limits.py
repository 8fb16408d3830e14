"""What is spent of limits: counted in Redis for all processes, by each alone while it is away."""

# redis-py is typed in part only.
# pyright: reportUnknownMemberType=false

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import redis
from redis.commands.core import AsyncScript

from db import impatient
from domain import limit
from domain.limit import Limit, Verdict

log = logging.getLogger(__name__)

# A Redis that failed is left alone this long, so that few requests find out.
AWAY_S = 5.0
# Some hundred bytes each. Beyond it those are forgotten that asked first.
KEPT_MAX = 100_000

_PREFIX = "orderflow:limit:"
_US_PER_S = 1_000_000

# The maths of `domain.limit.take`, for all buckets of an ask at once: it spends of each or of
# none. The clock is that of Redis, because those of processes differ. Given back are the clock
# and what was spent before, of which Python makes the verdicts.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answer, at = {now}, 1
while at <= #KEYS do
  local first, allowed, spent = at, true, {}
  repeat
    local interval, depth = tonumber(ARGV[3 * at - 1]), tonumber(ARGV[3 * at])
    local until_us = tonumber(redis.call('GET', KEYS[at])) or 0
    answer[at + 1] = string.format('%.0f', until_us)
    spent[at] = math.min(math.max(until_us - now, 0), depth) + interval
    allowed = allowed and spent[at] <= depth
    at = at + 1
  until at > #KEYS or ARGV[3 * at - 2] ~= ARGV[3 * first - 2]
  if allowed then
    for i = first, at - 1 do
      redis.call('SET', KEYS[i], string.format('%.0f', now + spent[i]),
                 'PX', math.ceil(spent[i] / 1000))
    end
  end
end
return answer
"""


class Bucket(NamedTuple):
    """What one asker spends of one limit."""

    limit: Limit
    owner: str

    @property
    def key(self) -> str:
        """Name of the bucket in Redis."""
        return f"{_PREFIX}{self.limit.name}:{self.owner}"


# A request that spends of several buckets passes only if all have something left.
Ask = Sequence[Bucket]


class Spendings:
    """The buckets as one process sees them."""

    def __init__(
        self,
        redis_url: str,
        *,
        within_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count in the Redis at `redis_url`; without one, in this process alone."""
        self._redis = impatient.connect(redis_url, within_s=within_s)
        self._within_s = within_s
        self._clock = clock
        self._script = None if self._redis is None else self._redis.register_script(_TAKE)
        self._away_until = 0.0
        self._kept = Kept()

    async def take(self, asks: Sequence[Ask]) -> list[list[Verdict]]:
        """Spend for every ask that may pass; gives a verdict per bucket of each.

        Redis has `timeout_s` for all of it, else this process decides alone.
        """
        if self._script is None or self._clock() < self._away_until:
            return self._alone(asks)
        try:
            async with asyncio.timeout(self._within_s):
                return await _take(self._script, asks)
        except (redis.RedisError, OSError, TimeoutError) as error:
            self._away_until = self._clock() + AWAY_S
            log.warning("Limits are counted by each process alone, Redis is away: %r", error)
            return self._alone(asks)

    def _alone(self, asks: Sequence[Ask]) -> list[list[Verdict]]:
        return self._kept.take(asks, round(self._clock() * _US_PER_S))

    async def close(self) -> None:
        """Let go of Redis."""
        if self._redis is not None:
            await self._redis.aclose()


async def _take(script: AsyncScript, asks: Sequence[Ask]) -> list[list[Verdict]]:
    keys, arguments = list[str](), list[int]()
    for number, ask in enumerate(asks):
        for bucket in ask:
            keys.append(bucket.key)
            arguments += (number, bucket.limit.interval_us, bucket.limit.depth_us)
    answer = cast("list[bytes]", await script(keys=keys, args=arguments))
    now_us, *spent = map(int, answer)
    before = iter(spent)
    return [[limit.take(b.limit, next(before), now_us)[0] for b in ask] for ask in asks]


class Kept:
    """The buckets in this process's memory."""

    def __init__(self, *, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._spent_until_us: dict[str, int] = {}

    def take(self, asks: Sequence[Ask], now_us: int) -> list[list[Verdict]]:
        """Spend for every ask that may pass; gives a verdict per bucket of each."""
        return [self._take(ask, now_us) for ask in asks]

    def _take(self, ask: Ask, now_us: int) -> list[Verdict]:
        taken = [limit.take(b.limit, self._spent_until_us.get(b.key, 0), now_us) for b in ask]
        if all(verdict.allowed for verdict, _ in taken):
            for bucket, (_, spent_until_us) in zip(ask, taken, strict=True):
                # Who asks moves to the end, so that those who asked long ago are at the front.
                self._spent_until_us.pop(bucket.key, None)
                self._spent_until_us[bucket.key] = spent_until_us
        while len(self._spent_until_us) > self._kept_max:
            del self._spent_until_us[next(iter(self._spent_until_us))]
        return [verdict for verdict, _ in taken]
