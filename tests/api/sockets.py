"""The web process of the Procfile, and words to say to it byte by byte."""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.builders import an_order_body
from tests.conftest import ROOT, UNLIMITED
from tests.staff import SECRET_KEY, STAFF, TOKEN_KEY

DEADLINE_S = 60
ORDER = json.dumps(an_order_body(("APPLE", 1))).encode()
HEAD = b"Host: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
READ = b"GET /v1/variants/APPLE HTTP/1.1\r\n" + HEAD
STOCK = (
    b"PUT /v1/stock/APPLE HTTP/1.1\r\n"
    + HEAD
    + f"Authorization: {STAFF['Authorization']}\r\n".encode()
)


class Process(NamedTuple):
    running: asyncio.subprocess.Process
    port: int


@asynccontextmanager
async def web(
    database_url: str, redis_url: str, log: Path, **changes: object
) -> AsyncGenerator[Process]:
    """Run the line of the Procfile on a port of our own; connections wait until it is up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with web_on(listener, database_url, redis_url, log, **changes) as process:
            yield process


@asynccontextmanager
async def web_on(
    listener: socket.socket, database_url: str, redis_url: str, log: Path, **changes: object
) -> AsyncGenerator[Process]:
    """Run the line of the Procfile on a port that stays when the process goes."""
    [line] = re.findall("^web: (.*)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
    command = re.sub(r"--(host|port) \S+", "", line).split()
    ours = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    ours |= {"TOKEN_KEYS": TOKEN_KEY, "SECRET_KEYS": SECRET_KEY}
    ours |= {name.upper(): str(value) for name, value in {**UNLIMITED, **changes}.items()}
    with log.open("ab") as output:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *command, "--fd", str(listener.fileno())),
            cwd=ROOT,
            env=os.environ | ours,
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
        )
        try:
            yield Process(running, listener.getsockname()[1])
        finally:
            if running.returncode is None:
                running.terminate()
            async with asyncio.timeout(DEADLINE_S):
                await running.wait()


@asynccontextmanager
async def connected(
    port: int, sent: bytes
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which something was said already."""
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await writer.drain()
        yield reader, writer
        writer.transport.abort()


async def answer_to(port: int, sent: bytes, *, and_hang_up: bool = False) -> bytes:
    async with connected(port, sent) as (reader, writer):
        if and_hang_up:
            writer.write_eof()
        return await reader.read()


def status(answer: bytes) -> int:
    return int(answer.split(maxsplit=2)[1])


def place(key: str, *headers: bytes) -> bytes:
    """The head of an order that closes the connection afterwards."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST /v1/orders HTTP/1.1\r\n%bIdempotency-Key: %b\r\n%b\r\n" % (
        HEAD,
        key.encode(),
        lines,
    )


def length(body: bytes) -> bytes:
    return b"Content-Length: %d" % len(body)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)
