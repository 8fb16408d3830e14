"""A stand-in for the web process: answers orders as it is told to, and keeps what it was sent."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import msgspec

Answering = Callable[["Stub"], list[bytes]]


class Stub(msgspec.Struct):
    """`answering` gives the pieces in which the next answer is written; none hangs up."""

    answering: Answering
    port: int = 0
    heads: list[bytes] = []
    bodies: list[bytes] = []
    order_ids: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while pieces := await self._read(reader):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The client has hung up.
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> list[bytes]:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(length))
        return self.answering(self)


def accepted(stub: Stub) -> list[bytes]:
    """Answer as the product does, in one piece."""
    stub.order_ids.append(str(uuid4()))
    location = f"location: /v1/orders/{stub.order_ids[-1]}"
    return [answer("202 Accepted", b'{"status":"placed"}', location)]


def answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(answering: Answering) -> AsyncGenerator[Stub]:
    stub = Stub(answering)
    server = await asyncio.start_server(stub.serve, "127.0.0.1")
    stub.port = server.sockets[0].getsockname()[1]
    async with server:
        yield stub
