import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from ops.storm.proxy import Passage, Proxy

HOST = "127.0.0.1"


class Cutting:
    """Cuts at the word `stop`."""

    def asked(self, chunk: bytes) -> Passage:
        return Passage(b"", cut=True) if chunk == b"stop" else Passage(chunk)

    def answered(self, chunk: bytes) -> Passage:
        return Passage(chunk)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(1000):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        # The proxy cut the link, which is what the test is about.
        return
    finally:
        writer.close()


@asynccontextmanager
async def a_proxy() -> AsyncGenerator[Proxy]:
    server = await asyncio.start_server(_echo, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    proxy = Proxy(lambda: asyncio.open_connection(HOST, port), Cutting)
    async with proxy.listening():
        yield proxy
    server.close()


@asynccontextmanager
async def a_link(
    proxy: Proxy,
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _end(reader: asyncio.StreamReader) -> bytes:
    """Read to the end, which a cut may make a reset."""
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""


async def test_what_is_said_passes_both_ways() -> None:
    async with a_proxy() as proxy, a_link(proxy) as (reader, writer):
        writer.write(b"hello")

        assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"


async def test_end_of_one_side_is_the_end_of_the_other() -> None:
    async with a_proxy() as proxy, a_link(proxy) as (reader, writer):
        writer.write(b"hello")
        await reader.readexactly(5)
        writer.write_eof()

        assert await _end(reader) == b""


async def test_link_is_cut_where_its_ear_says_so() -> None:
    async with a_proxy() as proxy, a_link(proxy) as (reader, writer):
        writer.write(b"stop")

        assert await _end(reader) == b""


async def test_all_links_are_cut_at_once_and_new_ones_are_taken() -> None:
    async with a_proxy() as proxy:
        async with a_link(proxy) as (reader, writer):
            writer.write(b"hello")
            await reader.readexactly(5)

            assert proxy.cut() == 1
            assert await _end(reader) == b""
        async with a_link(proxy) as (reader, writer):
            writer.write(b"again")
            assert await asyncio.wait_for(reader.readexactly(5), 5) == b"again"


async def test_frozen_link_is_silent_until_it_is_mended() -> None:
    async with a_proxy() as proxy, a_link(proxy) as (reader, writer):
        proxy.freeze()
        writer.write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(5), 0.1)

        proxy.mend()

        assert await asyncio.wait_for(reader.readexactly(5), 5) == b"hello"


async def test_refusing_proxy_ends_every_new_link() -> None:
    async with a_proxy() as proxy:
        proxy.refusing = True
        async with a_link(proxy) as (reader, _):
            assert await _end(reader) == b""


async def test_server_that_is_away_ends_the_link() -> None:
    async def nobody() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise ConnectionRefusedError

    proxy = Proxy(nobody)
    async with proxy.listening(), a_link(proxy) as (reader, _):
        assert await _end(reader) == b""
