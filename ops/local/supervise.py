"""A fleet of programs under one roof: all started, each kept running, all stopped in time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from ops.local.child import Child, Say, how
from ops.local.program import Program
from ops.local.state import CannotStart

GRACE_S = 7.0
READY_WITHIN_S = 60.0
_READY_POLL_S = 0.05
# A program may need a second try, as Postgres does while children of a killed one still live.
_DEATHS_UNREADY_MAX = 4


class Fleet:
    """Programs kept running, by name."""

    def __init__(self, programs: Iterable[Program], say: Say, grace_s: float) -> None:
        self.children = {program.name: Child(program, say) for program in programs}
        self._grace_s = grace_s

    def pids(self) -> dict[str, int]:
        """Process ids of those that run; each leads a process group of its own."""
        return {name: child.pid for name, child in self.children.items() if child.pid is not None}

    async def ready(
        self, name: str, answers: Callable[[], Awaitable[bool]], within_s: float = READY_WITHIN_S
    ) -> None:
        """Wait until the program answers.

        Raises CannotStart with its last lines if it keeps dying or takes too long.
        """
        child = self.children[name]
        deaths_max = child.deaths + _DEATHS_UNREADY_MAX
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not await answers():
            if child.deaths >= deaths_max:
                raise CannotStart(f"{name} keeps dying. {_last_words(child)}")
            if loop.time() > deadline:
                late = f"{name} is not ready after {within_s:.0f} s."
                raise CannotStart(f"{late} {_last_words(child)}")
            await asyncio.sleep(_READY_POLL_S)

    async def kill(self, name: str) -> None:
        """Kill one program and its group with no warning; it is restarted as after any death."""
        await self.children[name].kill()

    async def stop(self, name: str) -> None:
        """Stop one program and leave it stopped."""
        await self.children[name].stop(self._grace_s)

    async def start(self, name: str) -> int:
        """Start a stopped program; its process id."""
        self.children[name].start()
        return await self.children[name].running()

    async def restart(self, name: str) -> int:
        """Stop one program and start it again; its new process id."""
        await self.stop(name)
        return await self.start(name)

    async def stop_all(self) -> None:
        """Stop all programs at the same time; they are gone after the grace and two seconds."""
        await asyncio.gather(*(child.stop(self._grace_s) for child in self.children.values()))


@asynccontextmanager
async def supervised(
    programs: Iterable[Program], *, say: Say, grace_s: float = GRACE_S
) -> AsyncGenerator[Fleet]:
    """Run the programs while inside, restarting whoever dies; none is left afterwards.

    The thread of the loop must outlive them: the kernel stops them when it ends.
    """
    fleet = Fleet(programs, say, grace_s)
    owner = asyncio.current_task()
    keepers = [asyncio.create_task(child.keep()) for child in fleet.children.values()]

    def give_up(keeper: asyncio.Task[None]) -> None:
        if not keeper.cancelled() and owner is not None:
            owner.cancel()

    for keeper in keepers:
        keeper.add_done_callback(give_up)
    try:
        yield fleet
    finally:
        try:
            await fleet.stop_all()
        finally:
            for keeper in keepers:
                keeper.cancel()
            ends = await asyncio.gather(*keepers, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end


async def run_to_end(program: Program, say: Say) -> None:
    """Run a program once.

    Raises CannotStart with its last lines if it fails. What it wrote is also said, but for a line
    that is all it wrote: why it failed is then told once.
    """

    def hear(name: str, line: str) -> None:
        first, *more = child.last_lines
        if len(more) == 1:
            say(name, first)
        if more:
            say(name, line)

    child = Child(program, hear)
    code = await child.run()
    if code and len(child.last_lines) == 1:
        raise CannotStart(f"{program.name} {how(code)}: {child.last_lines[0]}")
    if code:
        raise CannotStart(f"{program.name} {how(code)}. {_last_words(child)}")
    if len(child.last_lines) == 1:
        say(program.name, child.last_lines[0])


def _last_words(child: Child) -> str:
    if not child.last_lines:
        return "It wrote nothing."
    return "Its last lines:\n  " + "\n  ".join(child.last_lines)
