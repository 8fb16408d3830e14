"""A TCP proxy whose links can be cut, frozen, slowed down and listened to."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from ops.local.ports import HOST

_CHUNK_BYTES = 64 * 1024

Upstream = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Passage(msgspec.Struct, frozen=True):
    """What may go on of what came, and whether the link is cut after it."""

    onward: bytes
    cut: bool = False


class Ear(Protocol):
    """Hears both sides of one link, and decides what passes."""

    def asked(self, chunk: bytes) -> Passage: ...

    def answered(self, chunk: bytes) -> Passage: ...


class Deaf:
    """Lets everything pass."""

    def asked(self, chunk: bytes) -> Passage:
        return Passage(chunk)

    def answered(self, chunk: bytes) -> Passage:
        return Passage(chunk)


class Proxy:
    """Stands before one server; whatever it does to a link, the server itself goes on."""

    def __init__(self, upstream: Upstream, ear: Callable[[], Ear] = Deaf) -> None:
        self.port = 0
        self.delay_s = 0.0
        self.refusing = False
        self._upstream = upstream
        self._ear = ear
        self._links: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    def cut(self) -> int:
        """Cut all links at once; how many there were."""
        for link in self._links:
            link.cancel()
        return len(self._links)

    def freeze(self) -> None:
        """Let nothing pass in either direction, without a word to anybody."""
        self._flowing.clear()

    def mend(self) -> None:
        """Let everything pass again, at once."""
        self.delay_s, self.refusing = 0.0, False
        self._flowing.set()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Take connections while inside; the port is then known."""
        server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            self.cut()
            await asyncio.gather(*self._links, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            if self.refusing:
                return
            answers, questions = await self._upstream()
            writers.append(questions)
            ear = self._ear()
            ends = await asyncio.gather(
                self._pump(reader, questions, ear.asked, writers),
                self._pump(answers, writer, ear.answered, writers),
            )
            if not any(ends):
                # Both ended in order, so what is still on its way to a side gets there.
                for side in writers:
                    side.close()
                writers.clear()
        except OSError:
            # One side has gone; the other one learns it from the end of its own connection.
            return
        finally:
            for side in writers:
                side.transport.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        judge: Callable[[bytes], Passage],
        sides: list[asyncio.StreamWriter],
    ) -> bool:
        """Carry one direction to its end; tells whether the link was cut."""
        cut = False
        while not cut and (chunk := await source.read(_CHUNK_BYTES)):
            await self._flowing.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            passage = judge(chunk)
            cut = passage.cut
            if passage.onward:
                sink.write(passage.onward)
                await sink.drain()
        for side in sides:
            if cut:
                side.transport.abort()
            elif not side.is_closing():
                side.close()
        return cut
