"""One program kept running: started, listened to, started again when it dies, stopped in time."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from signal import SIGCONT, SIGKILL, Signals

from ops.local.program import Program
from ops.telemetry.exposition import forget_the_dead

# Takes the name of a program and a line it wrote; ORDERFLOW names the supervisor itself.
Say = Callable[[str, str], None]
ORDERFLOW = "orderflow"

# Doubled at each death, so that a program that cannot start does not eat a core.
RESTART_DELAY_FIRST_S = 0.2
RESTART_DELAY_MAX_S = 5.0
# Whoever ran this long started well: its next death begins with the first delay again.
STEADY_AFTER_S = 10.0
# What a group that got its last signal needs to vanish.
_VANISH_S = 1.0
_CHUNK_BYTES = 64 * 1024
# A longer line is cut into several, so that a program without line ends cannot fill our memory.
_LINE_MAX_BYTES = 1024 * 1024
# Enough for the end of a traceback, which an error message repeats.
_LAST_LINES = 15
# The shell's answer to a program that cannot be started.
_NOT_STARTED = 126


class Child:
    """One program, run again whenever it ends unasked."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self.pid: int | None = None
        self.deaths = 0
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._say = say
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._running = asyncio.Event()
        self._gone = asyncio.Event()
        self._gone.set()

    async def keep(self) -> None:
        """Run the program for as long as it is wanted, until cancelled."""
        loop = asyncio.get_running_loop()
        delay = RESTART_DELAY_FIRST_S
        while True:
            await self._wanted.wait()
            began = loop.time()
            code = await self.run()
            if not self._wanted.is_set():
                continue
            self.deaths += 1
            if loop.time() - began > STEADY_AFTER_S:
                delay = RESTART_DELAY_FIRST_S
            again = f"starting it again in {delay:.1f} s"
            self._say(ORDERFLOW, f"{self.program.name} {how(code)}; {again}")
            await asyncio.sleep(delay)
            delay = min(2 * delay, RESTART_DELAY_MAX_S)

    async def run(self) -> int:
        """Run the program once; its exit code. However this ends, its group is gone after it."""
        self._gone.clear()
        try:
            return await self._run()
        finally:
            self._gone.set()

    def start(self) -> None:
        """Want the program; `keep` then runs it."""
        self._wanted.set()

    async def running(self) -> int:
        """Wait until the program runs; its process id."""
        while self.pid is None:
            await self._running.wait()
        return self.pid

    async def stop(self, grace_s: float) -> None:
        """Ask the program to stop, insist after the grace, and return when its group is gone."""
        self._wanted.clear()
        self._ask()
        for insisting in (self.program.insist_signal, SIGKILL):
            if await self._is_gone_within(grace_s):
                return
            self.signal(insisting)
            grace_s = _VANISH_S
        if not await self._is_gone_within(grace_s):
            self._say(ORDERFLOW, f"{self.program.name} is still there after SIGKILL")

    async def kill(self) -> None:
        """End the program with no warning, and return when its group is gone."""
        self.signal(SIGKILL)
        await self._gone.wait()

    def signal(self, number: Signals) -> None:
        """Send a signal to the program's group, if it runs."""
        if self.pid is not None:
            _signal_group(self.pid, number)

    def _ask(self) -> None:
        """Ask the program alone: it tells its own children, to whom asking twice means haste.

        Whoever was frozen is thawed, as only then it hears (systemd.kill(5) does so too).
        """
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, self.program.stop_signal)
            self.signal(SIGCONT)

    async def _is_gone_within(self, patience_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                return await self._gone.wait()
        return False

    async def _run(self) -> int:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as source:
            try:
                process = await _spawned(self.program, writing)
            except OSError as error:
                self._hear(f"cannot be started: {error}")
                return _NOT_STARTED
            finally:
                os.close(writing)
            self.pid = process.pid
            self._running.set()
            try:
                async with asyncio.TaskGroup() as tasks:
                    return await self._ended(process, tasks.create_task(self._listen(source)))
            finally:
                self.signal(SIGKILL)
                await process.wait()
                _forget_metrics(self.program)
                self._running.clear()
                self.pid = None

    async def _ended(
        self, process: asyncio.subprocess.Process, listening: asyncio.Task[None]
    ) -> int:
        if not self._wanted.is_set():
            # It was told to stop in the instant it was being started.
            self._ask()
        code = await process.wait()
        if self._wanted.is_set():
            # Children of a dead leader would work on unseen, beside those of the next one.
            self.signal(SIGKILL)
            await asyncio.wait({listening}, timeout=_VANISH_S)
            listening.cancel()
        else:
            # Whoever it did not stop itself is asked now. The pipe ends with the last of the group,
            # within the grace that `stop` gives.
            self.signal(self.program.stop_signal)
            await asyncio.wait({listening})
        return code

    async def _listen(self, source: FileIO) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), source
        )
        try:
            rest = b""
            while chunk := await reader.read(_CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LINE_MAX_BYTES:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._hear(line.decode(errors="replace"))
            if rest:
                self._hear(rest.decode(errors="replace"))
        finally:
            transport.close()

    def _hear(self, line: str) -> None:
        self.last_lines.append(line)
        self._say(self.program.name, line)


def how(code: int) -> str:
    """Say how a program ended."""
    return f"was killed by {Signals(-code).name}" if code < 0 else f"ended (exit {code})"


async def _spawned(program: Program, output: int) -> asyncio.subprocess.Process:
    # The pipe is ours and not asyncio's, whose `wait` lasts until every heir of it has closed it.
    return await asyncio.create_subprocess_exec(
        *program.command(),
        cwd=program.cwd,
        env=program.env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        process_group=0,
    )


def _signal_group(leader: int, number: Signals) -> None:
    # macOS answers EPERM for a group of which only a zombie is left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _forget_metrics(program: Program) -> None:
    """Take the live gauges of dead processes, children of this program too, out of the sums."""
    if folder := program.env.get("PROMETHEUS_MULTIPROC_DIR"):
        forget_the_dead(folder)
