"""A program to run: its command, environment, account and how it is asked to stop."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import msgspec

CHECKOUT = Path(__file__).resolve().parents[2]
OURSELVES = "-"
_LAUNCH = str(Path(__file__).with_name("launch.py"))


class Program(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    account: str = OURSELVES
    cwd: Path = CHECKOUT
    # Asks to stop, and is what the kernel sends it should this process be killed.
    stop_signal: Signals = SIGTERM
    # Sent when the grace is over; SIGKILL follows for whoever refuses that as well.
    insist_signal: Signals = SIGKILL

    def command(self) -> list[str]:
        """Argument vector that starts the program as a child bound to this process."""
        bound = [str(os.getpid()), str(int(self.stop_signal)), self.account]
        return [sys.executable, "-I", "-S", _LAUNCH, *bound, *self.argv]


async def output(program: Program) -> tuple[int, str]:
    """Run the program to its end; its exit code, and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *program.command(),
        cwd=program.cwd,
        env=program.env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        process_group=0,
    )
    try:
        written, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, written.decode(errors="replace").strip()
