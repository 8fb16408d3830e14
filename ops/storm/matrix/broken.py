"""A process with a fault point: run beside healthy ones, until it has come to the point."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from signal import SIGCONT

from ops.local.child import Child
from ops.storm.faults.fault import until
from ops.storm.matrix.lane import LEASE_S, Lane, answers
from ops.telemetry.faultpoint import REACHED, Action

# Others have taken its work over by then, and a clock has swept.
_ZOMBIE_S = 2 * LEASE_S
_GRACE_S = 4.0
_TAKEN_OVER = "is not held any more"


class Broken:
    """One run of it; it is not started again when it dies."""

    def __init__(self, lane: Lane, line: str, setting: str, env: Mapping[str, str]) -> None:
        self.reached = asyncio.Event()
        self.overtaken = 0  # results that it wrote nothing of, as somebody had taken over
        self.ended: asyncio.Task[int] | None = None
        self._setting = setting
        self._lane = lane
        self._line = line
        program = lane.program(line, {**env, "FAULTPOINT": setting})
        self._child = Child(program, self._hear)

    async def start(self) -> None:
        """Start it; a web process is there once it answers."""
        self.ended = asyncio.create_task(self._child.run())
        await self._child.running()
        if self._line == "web":
            await until(partial(answers, f"{self._lane.broken_url}/health/ready"))

    async def break_down(self) -> None:
        """Have come to pass what its action is, once it has reached the point."""
        action = self._setting.rpartition(":")[2]
        if action == Action.KILL9 and self.ended is not None:
            await asyncio.wait({self.ended})
        elif action == Action.STOP:
            await asyncio.sleep(_ZOMBIE_S)
            self._child.signal(SIGCONT)

    async def stop(self) -> None:
        """Have it end, however it is."""
        self._child.signal(SIGCONT)
        await self._child.stop(_GRACE_S)
        if self.ended is not None:
            await asyncio.wait({self.ended})

    def _hear(self, name: str, line: str) -> None:
        if line == f"{REACHED}{self._setting}":
            self.reached.set()
        self.overtaken += _TAKEN_OVER in line
        self._lane.say(name, line)


@asynccontextmanager
async def broken(
    lane: Lane, line: str, setting: str, env: Mapping[str, str]
) -> AsyncGenerator[Broken]:
    """Run such a process while inside."""
    process = Broken(lane, line, setting, env)
    try:
        await process.start()
        yield process
    finally:
        await process.stop()
