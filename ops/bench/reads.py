"""The load client of readings: a closed loop of GETs, in a process of its own.

Run as `python -m ops.bench.reads`; it reads JSON of `Order`, and writes JSON of `Report`.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from itertools import cycle

import msgspec
import uvloop

from ops.bench.connection import Answer, Connection
from ops.bench.workload import Lost

# Several times what a busy machine takes.
GRACE_S = 60.0


class Order(msgspec.Struct, frozen=True):
    """What to ask for, in turns: for so many seconds, over so many connections."""

    host: str
    port: int
    paths: Sequence[str]
    connections: int
    seconds: float


class Report(msgspec.Struct, frozen=True):
    """How many were answered, all of them with 200, and how fast."""

    answers: int
    per_s: float


class Reader:
    """Keeps every connection busy with one request until it is told to stop."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.answers = 0
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = cycle([f"GET {p} HTTP/1.1\r\nHost: bench\r\n\r\n".encode() for p in paths])

    def feed(self, connection: Connection) -> None:
        """Send the next request."""
        connection.send(next(self._requests))

    def hear(self, connection: Connection, answer: Answer | None) -> None:
        """Count an answer; the first that is none ends everything."""
        if self.failed.done():
            return
        if answer is None or answer.status != HTTPStatus.OK:
            got = "nothing" if answer is None else f"{answer.status}: {answer.body[:200]!r}"
            self.failed.set_exception(Lost(f"A page was answered with {got}"))
            return
        self.answers += 1
        self.feed(connection)


async def read(order: Order) -> Report:
    """Have it read in a process of its own. Raises Lost unless all is answered."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.bench.reads"), stdin=pipe, stdout=pipe
    )
    try:
        async with asyncio.timeout(order.seconds + GRACE_S):
            written, _ = await process.communicate(msgspec.json.encode(order))
    except TimeoutError as error:
        process.kill()
        raise Lost("The readings did not end.") from error
    if process.returncode:
        raise Lost(written.decode())
    return msgspec.json.decode(written, type=Report)


async def run(order: Order) -> Report:
    """Read for as long as was ordered. Raises Lost."""
    loop = asyncio.get_running_loop()
    reader = Reader(order.paths)
    lines = [
        (await loop.create_connection(lambda: Connection(reader.hear), order.host, order.port))[1]
        for _ in range(order.connections)
    ]
    began = time.monotonic()
    for line in lines:
        reader.feed(line)
    await asyncio.wait([reader.failed], timeout=order.seconds)
    took_s, answers = time.monotonic() - began, reader.answers
    for line in lines:
        line.close()
    if reader.failed.done():
        reader.failed.result()
    return Report(answers, answers / took_s)


def main() -> int:
    """Run the process; its exit code."""
    try:
        report = uvloop.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Order)))
    except Lost as lost:
        sys.stdout.write(str(lost))
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
