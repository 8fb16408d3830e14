"""Puts the wall clock of a process off by what a file says: Python runs this at its start.

Without root nothing else gives one process a time of its own. How long something takes is
measured by the monotonic clock, which stays as it is.
"""

import mmap
import os
import struct
import time
from pathlib import Path

# Names the file, which holds seconds and may change at any time.
SETTING = "STORM_CLOCK"
OFFSET = struct.Struct("d")
_NS = 1_000_000_000


def _follow(file: Path) -> None:
    with file.open("rb") as opened:
        said = mmap.mmap(opened.fileno(), OFFSET.size, prot=mmap.PROT_READ)
    real, real_ns = time.time, time.time_ns

    def off_s() -> float:
        (seconds,) = OFFSET.unpack_from(said)
        return float(seconds)

    time.time = lambda: real() + off_s()
    time.time_ns = lambda: real_ns() + int(off_s() * _NS)


if SETTING in os.environ:
    _follow(Path(os.environ[SETTING]))
