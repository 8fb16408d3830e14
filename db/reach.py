"""Whether Redis answers, for people who look: asked seldom, and waited for shortly."""

# redis-py is typed in part only.
# pyright: reportUnknownMemberType=false

import asyncio
import time
from typing import final

import redis.asyncio

from db import impatient

# Less than people notice.
WITHIN_S = 0.25
EVERY_S = 2.0


@final
class Reach:
    """What was last seen of Redis; all who ask meanwhile are told that."""

    def __init__(
        self, redis_url: str, *, within_s: float = WITHIN_S, every_s: float = EVERY_S
    ) -> None:
        self._within_s = within_s
        self._every_s = every_s
        # Without an address there is none to miss.
        self._redis = impatient.connect(redis_url, within_s=within_s)
        self._asked_at = -every_s
        self._is_away = False
        self._asking = asyncio.Lock()

    async def is_away(self) -> bool:
        """Tell whether there is a Redis that does not answer."""
        async with self._asking:
            if self._redis is not None and time.monotonic() - self._asked_at >= self._every_s:
                self._is_away = await self._looks_away(self._redis)
                self._asked_at = time.monotonic()
        return self._is_away

    async def _looks_away(self, client: "redis.asyncio.Redis") -> bool:
        try:
            async with asyncio.timeout(self._within_s):
                await client.execute_command("PING")
        except (redis.RedisError, OSError, TimeoutError):
            return True
        return False

    async def close(self) -> None:
        """Let go of Redis."""
        if self._redis is not None:
            await self._redis.aclose()
