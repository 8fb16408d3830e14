"""Faults of our own processes: killed, frozen past their lease, and restarted one by one."""

import asyncio
from functools import partial
from signal import SIGCONT, SIGSTOP

from ops.storm.arena import LEASE_S
from ops.storm.faults.fault import Blow, Fault

_LINES = ("web", "worker", "clock")
# Others have taken its work over by then, and a clock has swept.
_BEYOND_LEASE_S = LEASE_S + 2.0
_ROLLING_S = 20.0
# A process that is killed again before it was up serves nobody, and its supervisor waits longer.
_UP_AGAIN_S = 5.0


async def _kill(line: str, blow: Blow) -> str:
    name = blow.chance.choice(blow.arena.twins(line))
    await blow.arena.fleet.kill(name)
    return f"{name} killed"


async def _stop(line: str, blow: Blow) -> str:
    """Freeze a process while its work is taken over; then it wakes and believes it still has it."""
    name = blow.chance.choice(blow.arena.twins(line))
    child = blow.arena.fleet.children[name]
    child.signal(SIGSTOP)
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        child.signal(SIGCONT)
    return f"{name} frozen {blow.seconds:.0f} s"


async def _roll(blow: Blow) -> str:
    fleet = blow.arena.fleet
    for name in fleet.children:
        await fleet.stop(name)
        await fleet.start(name)
    return f"{len(fleet.children)} restarted"


FAULTS = (
    *(
        Fault(name=f"kill9-{line}", lane=line, seconds=_UP_AGAIN_S, strike=partial(_kill, line))
        for line in _LINES
    ),
    *(
        Fault(name=f"stop-{line}", lane=line, seconds=_BEYOND_LEASE_S, strike=partial(_stop, line))
        for line in _LINES
    ),
    Fault(name="sigterm-rolling", lane="worker", seconds=_ROLLING_S, strike=_roll),
)
