"""A server to run: its program, where it is reached and how to see that it answers."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from ops.local.program import Program


class Server(msgspec.Struct, frozen=True):
    program: Program
    url: str
    # Folder of its socket alone, which may go when the server has ended.
    sockets: Path
    answers: Callable[[str], Awaitable[bool]]
