import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ops.sandbox.journal import Journal, JournalUnusable, whole_end


def test_lines_come_back_in_order_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal"
    journal = Journal(path)
    offsets = [journal.append(line) for line in (b"one", b"", b"three")]
    journal.close()

    again = Journal(path)

    assert list(again.lines()) == list(zip(offsets, (b"one", b"", b"three"), strict=True))
    assert again.read(offsets[2]) == b"three"
    again.close()


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_torn_tail_of_any_length_is_cut_off(tmp_path: Path, size: int) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"whole\n" + b"x" * size)

    journal = Journal(path)

    assert whole_end(path) == len(b"whole\n")
    assert journal.append(b"next") == len(b"whole\n")
    assert [line for _, line in journal.lines()] == [b"whole", b"next"]
    journal.close()


def test_file_of_half_a_line_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"half")

    Journal(path).close()

    assert path.read_bytes() == b""


def test_second_writer_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")

    with pytest.raises(JournalUnusable, match="is in use"):
        Journal(tmp_path / "journal")
    journal.close()


async def test_concurrent_callers_share_an_fsync(tmp_path: Path) -> None:
    executor = CountingExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    journal = Journal(tmp_path / "journal")

    async def append_and_wait() -> None:
        journal.append(b"line")
        await journal.durable()

    await asyncio.gather(*(append_and_wait() for _ in range(500)))
    await journal.durable()
    journal.close()

    # One that the first caller starts, and at most one more for those who came during it.
    assert executor.submitted in {1, 2}


class CountingExecutor(ThreadPoolExecutor):
    """The pool that runs the fsyncs, counting them."""

    submitted = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        return super().submit(fn, *args, **kwargs)
