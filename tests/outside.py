"""The outside world for tests: a real sandbox process on free ports."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

START_DEADLINE_S = 20
STOP_DEADLINE_S = 10


class Sandbox(msgspec.Struct, frozen=True):
    """A running sandbox."""

    process: Process
    folder: Path
    gateway_url: str
    inbox_url: str
    smtp_url: str

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal, wait until it has ended and return its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        return await asyncio.wait_for(self.process.wait(), STOP_DEADLINE_S)


async def start(folder: Path, **environ: str) -> Sandbox:
    """Start a sandbox over a folder; `environ` adds settings, e.g. a port."""
    given = {"PATH": os.environ["PATH"], "SANDBOX_DIR": str(folder), **environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.sandbox", env=given, stdout=PIPE, stderr=STDOUT
    )
    urls = await asyncio.wait_for(_heard(process), START_DEADLINE_S)
    return Sandbox(process, folder, urls["gateway"], urls["inbox"], urls["smtp"])


@asynccontextmanager
async def sandbox(folder: Path, **environ: str) -> AsyncGenerator[Sandbox]:
    """Run a sandbox for the length of a test; the test may stop it earlier."""
    started = await start(folder, **environ)
    try:
        yield started
    finally:
        await started.stop()


async def _heard(process: Process) -> dict[str, str]:
    assert process.stdout is not None
    urls: dict[str, str] = {}
    said: list[str] = []
    while line := (await process.stdout.readline()).decode().strip():
        if line == "ready":
            return urls
        said.append(line)
        name, _, url = line.partition(" ")
        urls[name] = url
    raise AssertionError(f"The sandbox did not start: {said}")
