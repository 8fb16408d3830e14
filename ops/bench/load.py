"""The load client: a closed loop of orders, in a process of its own whose cost is not counted.

Run as `python -m ops.bench.load ORDER`, ORDER being JSON of `Order`. It says `ready` once it is
connected, starts when it reads a line, and writes JSON of `Report`.
"""

import asyncio
import re
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

import msgspec
import uvloop

from ops.bench import workload
from ops.bench.connection import Answer, Connection
from ops.bench.workload import Lost, Workload

_LOCATION = re.compile(rb"\r\nlocation: */v1/orders/([0-9a-f-]{36})", re.IGNORECASE)
READY = b"ready\n"
# Several times what a busy machine takes.
WITHIN_S = 120.0


class Order(msgspec.Struct, frozen=True):
    """What the process is to do."""

    host: str
    port: int
    workload: Workload


class Report(msgspec.Struct, frozen=True):
    """What it saw; `began` and `ended` are readings of the machine's monotonic clock."""

    began: float
    ended: float
    cpu_s: float
    latencies_s: Sequence[float]
    order_ids: Sequence[str]


class ClosedLoop:
    """Keeps every connection busy with one request until all have been answered."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies_s: list[float] = []
        self.order_ids: list[str] = []
        self._requests = iter(requests)
        self._unanswered = len(requests)

    def feed(self, connection: Connection) -> None:
        """Send the next request, if one is left."""
        request = next(self._requests, None)
        if request is not None:
            connection.send(request)

    def hear(self, connection: Connection, answer: Answer | None) -> None:
        """Note an answer; the first that is not an acceptance ends everything."""
        if self.ended.done():
            return
        try:
            self.order_ids.append(order_id(answer))
        except Lost as lost:
            self.ended.set_exception(lost)
            return
        self.latencies_s.append(answer.latency_s if answer else 0.0)
        self._unanswered -= 1
        if self._unanswered:
            self.feed(connection)
        else:
            self.ended.set_result(None)


def order_id(answer: Answer | None) -> str:
    """Read the id of an accepted order. Raises Lost for any other answer."""
    if answer is None:
        raise Lost("The connection broke before an order was answered.")
    location = _LOCATION.search(answer.head)
    if answer.status != HTTPStatus.ACCEPTED or location is None:
        raise Lost(f"An order got {answer.status}: {answer.body.decode(errors='replace')[:500]}")
    return location[1].decode()


@asynccontextmanager
async def loader(order: Order) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Start the process and yield it once it is connected; `fire` sets it off."""
    argv = ("-m", "ops.bench.load", msgspec.json.encode(order).decode())
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, stdin=pipe, stdout=pipe)
    try:
        if process.stdout is None or await process.stdout.readline() != READY:
            raise Lost("The load client did not start, see above.")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def fire(process: asyncio.subprocess.Process) -> Report:
    """Have it send its orders. Raises Lost unless all are accepted in time."""
    try:
        async with asyncio.timeout(WITHIN_S):
            written, _ = await process.communicate(b"go\n")
    except TimeoutError as error:
        raise Lost(f"Not all orders were answered within {WITHIN_S:.0f} s.") from error
    if process.returncode:
        raise Lost(written.decode())
    return msgspec.json.decode(written, type=Report)


async def run(order: Order) -> Report:
    """Connect, wait for the word, send, and tell. Raises Lost unless all are accepted."""
    closed_loop = ClosedLoop(workload.requests(order.workload))
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: Connection(closed_loop.hear), order.host, order.port))
        for _ in range(order.workload.connections)
    ]
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.readline)
    spent, began = time.process_time(), time.monotonic()
    for _, connection in connections:
        closed_loop.feed(connection)
    await closed_loop.ended
    ended, cpu_s = time.monotonic(), time.process_time() - spent
    for _, connection in connections:
        connection.close()
    return Report(began, ended, cpu_s, closed_loop.latencies_s, closed_loop.order_ids)


def main(order: str) -> int:
    """Run the process; its exit code."""
    try:
        report = uvloop.run(run(msgspec.json.decode(order, type=Order)))
    except Lost as lost:
        sys.stdout.write(str(lost))
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
