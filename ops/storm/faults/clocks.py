"""A fault of one machine's wall clock: it steps ten minutes ahead or back, and later is right."""

import asyncio

from ops.storm.arena import Arena
from ops.storm.faults.fault import Blow, Fault

_OFF_S = 600.0
_LASTS_S = 8.0


async def _step(blow: Blow) -> str:
    name = blow.chance.choice(list(blow.arena.fleet.children))
    seconds = blow.chance.choice((-_OFF_S, _OFF_S))
    blow.arena.clocks.put_off(name, seconds)
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        blow.arena.clocks.put_off(name, 0.0)
    return f"{name} {seconds:+.0f} s"


async def mend(arena: Arena) -> None:
    """Put all clocks right."""
    arena.clocks.mend()


FAULTS = (Fault(name="clock-offset", lane="time", seconds=_LASTS_S, strike=_step),)
