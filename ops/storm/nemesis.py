"""The nemesis: strikes by its schedule, and afterwards leaves everything whole."""

import asyncio
import traceback
from collections.abc import Callable, Sequence
from random import Random
from signal import SIGCONT

import aiohttp
import msgspec
import psycopg
from redis.exceptions import RedisError

from ops.storm.arena import Arena
from ops.storm.faults import clocks, disk, gateway, postgres, redis
from ops.storm.faults.fault import Blow, NotHere, Untouched
from ops.storm.faults.table import FAULTS
from ops.storm.plan import Strike

# A strike ends by itself soon after its time, or is given up.
_OVERTIME_S = 30.0
# What a fault finds broken by another one is no failure of either.
_AWAY = (OSError, psycopg.Error, RedisError, aiohttp.ClientError)


class Seen(msgspec.Struct, frozen=True):
    """What came of one strike; it missed if another fault was in its way, or nothing came by."""

    strike: Strike
    began_s: float
    ended_s: float
    what: str
    missed: bool = False


class Nemesis:
    """Injects the faults of a schedule."""

    def __init__(self, arena: Arena, now_s: Callable[[], float]) -> None:
        self.seen: list[Seen] = []
        self._arena = arena
        self._now_s = now_s

    async def rage(self, strikes: Sequence[Strike]) -> None:
        """Strike each at its time; returns when the last one has ended and all is mended."""
        async with asyncio.TaskGroup() as blows:
            for strike in strikes:
                await asyncio.sleep(max(0.0, strike.at_s - self._now_s()))
                blows.create_task(self._strike(strike))
        await self.mend()

    async def _strike(self, strike: Strike) -> None:
        chance = Random(strike.seed)  # noqa: S311 - dice of a test, repeatable by seed
        began_s, missed = self._now_s(), False
        try:
            async with asyncio.timeout(strike.seconds + _OVERTIME_S):
                what = await FAULTS[strike.fault].strike(Blow(self._arena, chance, strike.seconds))
        except (NotHere, Untouched) as error:
            what, missed = str(error), True
        except _AWAY as error:
            lines = traceback.format_exception_only(error)
            what, missed = lines[0].strip()[:80], True
        self.seen.append(Seen(strike, began_s, self._now_s(), what, missed))

    async def mend(self) -> None:
        """Undo whatever a fault may have left: everything runs and reaches everything."""
        for name, child in self._arena.fleet.children.items():
            child.signal(SIGCONT)
            await self._arena.fleet.start(name)
        await clocks.mend(self._arena)
        await disk.mend(self._arena)
        await redis.mend(self._arena)
        await postgres.mend(self._arena)
        await gateway.mend(self._arena)
