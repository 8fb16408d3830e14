"""What programs write, on one terminal: each line with its program's name before it."""

import os
import sys
import zlib
from typing import TextIO

from ops.local.child import ORDERFLOW, Say

_NAME_WIDTH = 9
# Red is left to errors; the supervisor itself is bold.
_COLOURS = (32, 33, 34, 35, 36, 92, 94, 95, 96)
_BOLD = 1


def console(stream: TextIO | None = None) -> Say:
    """Write prefixed lines to the stream, standard output by default; in colours on a terminal."""
    out = stream or sys.stdout
    coloured = out.isatty() and not os.environ.get("NO_COLOR")

    def say(name: str, line: str) -> None:
        prefix = f"{name:{_NAME_WIDTH}} |"
        if coloured:
            prefix = f"\x1b[{_colour(name)}m{prefix}\x1b[0m"
        print(prefix, line, file=out, flush=True)

    return say


def _colour(name: str) -> int:
    return _BOLD if name == ORDERFLOW else _COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]
