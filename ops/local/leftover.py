"""Servers that an interrupted run left behind, told from strangers that got their process id."""

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

from ops.local.program import Program, output
from ops.local.state import CannotStart

_POLL_S = 0.05
# A server that was just told to stop may be writing its last checkpoint.
_PATIENCE_S = 10.0


async def works_in(pid: int, folder: Path) -> bool:
    """Tell whether the process lives and is a server of that data directory, a resolved path.

    Both servers make it their working directory, and nothing else does.
    """
    if sys.platform == "linux":
        return _working_directory(pid) == folder
    lister = shutil.which("ps") or "/bin/ps"
    argv = (lister, "-o", "command=", "-p", str(pid))
    _, command = await output(Program(name="ps", argv=argv, env={}))
    return str(folder) in command


async def stop(pid: int, folder: Path, *signals: signal.Signals) -> None:
    """Ask a leftover to stop, ever more firmly. Raises CannotStart if it stays."""
    for asked in signals:
        try:
            os.kill(pid, asked)
        except ProcessLookupError:
            return
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while asyncio.get_running_loop().time() < deadline:
            if not await works_in(pid, folder):
                return
            await asyncio.sleep(_POLL_S)
    raise CannotStart(f"Process {pid} still serves {folder} and will not stop: end it by `kill`.")


def _working_directory(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def pid_in(file: Path) -> int | None:
    """Return the process id on the first line of a pid file."""
    try:
        first = file.read_text().partition("\n")[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() else None
