"""A small disk for the servers, so that it can be filled without harm to the machine."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from ops.local.program import Program, output

# More than the servers ask for at their start, and little enough to be filled from memory.
_SIZE_MB = 800
_BALLAST = "ballast"
# Quickly at first, then to the last block.
_PIECES_BYTES = (1024 * 1024, 4096)


@asynccontextmanager
async def small_disk(folder: Path) -> AsyncGenerator[Path | None]:
    """Mount a filesystem of its own at the folder; gives None where the system forbids it."""
    folder = await asyncio.to_thread(folder.resolve)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    # One that a killed storm left.
    await _run("umount", str(folder))
    options = f"size={_SIZE_MB}m,mode=0711"
    mounted = await _run("mount", "-t", "tmpfs", "-o", options, "storm", str(folder))
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            await _run("umount", "--lazy", str(folder))


def fill(disk: Path) -> int:
    """Leave not a block free; how many bytes were taken."""
    taken = 0
    descriptor = os.open(disk / _BALLAST, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for piece in _PIECES_BYTES:
            taken += _fill(descriptor, taken, piece)
    finally:
        os.close(descriptor)
    return taken


def _fill(descriptor: int, begin: int, piece: int) -> int:
    """Take pieces of the disk until there is no room for another one; how many bytes."""
    taken = 0
    try:
        while True:
            os.posix_fallocate(descriptor, begin + taken, piece)
            taken += piece
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    return taken


def empty(disk: Path) -> None:
    """Give back what `fill` took."""
    (disk / _BALLAST).unlink(missing_ok=True)


async def _run(*argv: str) -> bool:
    if shutil.which(argv[0]) is None:
        return False
    code, _ = await output(Program(name=argv[0], argv=argv, env=os.environ, cwd=Path("/")))
    return code == 0
