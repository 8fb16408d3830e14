"""The load client of readings counts what is answered, and takes no answer but 200 for one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from ops.bench.reads import Order, run
from ops.bench.workload import Lost


@asynccontextmanager
async def answering(status: str) -> AsyncGenerator[Order]:
    """A server that gives every request the same answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while await reader.read(4096):
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok".encode())

    writers = list[asyncio.StreamWriter]()
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield Order("127.0.0.1", port, ["/a", "/b"], 3, 0.2)
        for writer in writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def test_every_answer_within_the_time_counts() -> None:
    async with answering("200 OK") as order:
        report = await run(order)

    assert report.answers >= order.connections
    assert report.per_s > 0


async def test_another_answer_ends_it() -> None:
    async with answering("429 Too Many Requests") as order:
        with pytest.raises(Lost, match="429"):
            await run(order)
