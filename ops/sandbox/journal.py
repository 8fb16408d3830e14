"""An append-only file of lines: it outlives kill -9 and says when what was written is on disk."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 16


class JournalUnusable(RuntimeError):
    """The file cannot be used; the message says why and what to do."""


class Journal:
    """One writer's file; a second process that opens it is refused.

    A failed write or fsync sets `failed`: what is on disk is then unknown, so the owner must stop.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file and cut off a last line that a kill left half written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.failed = asyncio.Event()
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise JournalUnusable(
                f"{path} is in use: stop the other sandbox or set another SANDBOX_DIR."
            ) from error
        self._end = whole_end(path)
        self._file.truncate(self._end)
        self._synced = 0
        self._syncing: asyncio.Task[None] | None = None

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Give every line, without its end, and the offset where it begins."""
        offset = 0
        with self.path.open("rb") as file:
            for line in file:
                yield offset, line.rstrip(b"\n")
                offset += len(line)

    def append(self, line: bytes) -> int:
        """Write a line, which then outlives the process, and return the offset where it begins."""
        begin = self._end
        try:
            written = self._file.write(line + b"\n")
        except OSError:
            self.failed.set()
            raise
        if written <= len(line):
            self.failed.set()
            raise JournalUnusable(f"{self.path} took only part of a line: is the disk full?")
        self._end += written
        return begin

    async def durable(self) -> None:
        """Return once everything appended so far is on disk; concurrent callers share an fsync."""
        target = self._end
        while self._synced < target:
            if self._syncing is None:
                self._syncing = asyncio.create_task(self._sync())
            await asyncio.shield(self._syncing)

    async def _sync(self) -> None:
        end = self._end
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, os.fsync, self._file.fileno())
        except OSError:
            self.failed.set()
            raise
        finally:
            self._syncing = None
        self._synced = end

    def read(self, offset: int) -> bytes:
        """Return the line that begins at an offset, without its end."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.readline().rstrip(b"\n")

    def close(self) -> None:
        """Let another process open the file."""
        self._file.close()


def whole_end(path: Path) -> int:
    """Return the offset behind the last line that is whole."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        while position > 0:
            begin = max(0, position - _CHUNK)
            file.seek(begin)
            newline = file.read(position - begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            position = begin
    return 0
