"""Clients that take their time: cut off, and meanwhile nothing but their own connection waits."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from api.connection import Connection
from db.engine import Database, transaction
from tests.api.sockets import (
    DEADLINE_S,
    HEAD,
    ORDER,
    READ,
    answer_to,
    connected,
    length,
    place,
    status,
    web,
)
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Of a machine that is busy, too: whoever sent nothing in that time is hung up on without a word.
PATIENCE_S = 1.0
KEPT = READ.replace(b"close", b"keep-alive")
HALVES = {
    "a line": b"GET /v1/variants/APPLE HT",
    "headers": READ,
    "a header": READ + b"X: ",
    "a body": place("slow", length(ORDER)) + ORDER[:10],
    "no body": place("slow", length(ORDER)),
    "a chunk": place("slow", b"Transfer-Encoding: chunked") + b"5\r\n{",
    "chunks": place("slow", b"Transfer-Encoding: chunked") + b"1\r\n{\r\n",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(
    database_url: str,
    redis_url: str,
    shop_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[int]:
    del shop_database
    patience = {"head_timeout_s": PATIENCE_S, "body_timeout_s": PATIENCE_S}
    log = tmp_path_factory.mktemp("slow") / "log"
    async with web(database_url, redis_url, log, **patience) as process:
        yield process.port


@pytest.mark.parametrize("half", HALVES)
async def test_half_a_request_is_told_so_and_cut_off(port: int, half: str) -> None:
    answer = await answer_to(port, HALVES[half])

    assert status(answer) == 408
    assert b"content-type: application/problem+json\r\n" in answer
    assert b"connection: close\r\n" in answer
    assert b"x-content-type-options: nosniff\r\n" in answer
    assert b'"code":"request_too_slow"' in answer


async def test_half_an_order_is_not_placed(port: int, shop_database: Database) -> None:
    await answer_to(port, HALVES["a body"])

    async with transaction(shop_database) as tx:
        found = await tx.exec_driver_sql("SELECT count(*) FROM idempotency_keys WHERE key = 'slow'")
        assert found.scalar_one() == 0


async def test_who_says_nothing_is_hung_up_on(port: int) -> None:
    assert await answer_to(port, b"") == b""


@pytest.mark.parametrize("half", ["headers", "a body"])
async def test_a_byte_now_and_then_is_no_excuse(port: int, half: str) -> None:
    async with connected(port, HALVES[half]) as (reader, writer):
        heard = asyncio.create_task(reader.read())
        while not heard.done():
            writer.write(b"x")
            await asyncio.wait([heard], timeout=PATIENCE_S / 10)

    assert status(heard.result()) == 408


async def test_a_kept_connection_has_no_more_patience_for_its_next_request(port: int) -> None:
    async with connected(port, KEPT + b"\r\n") as (reader, writer):
        first = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"GET /v1/prod")
        rest = await reader.read()

    assert status(first) == 200
    assert b"HTTP/1.1 408 " in rest


async def test_a_body_that_nobody_waits_for_any_more_is_not_waited_for(port: int) -> None:
    head = place("over", b"Content-Length: 99999999").replace(b"close", b"keep-alive")
    async with connected(port, head) as (reader, writer):
        refused = await reader.readuntil(b"\r\n\r\n")
        heard = asyncio.create_task(reader.read())
        while not heard.done():
            writer.write(b"x")
            await asyncio.wait([heard], timeout=PATIENCE_S / 10)

    assert status(refused) == 413


async def test_hundreds_of_slow_ones_hold_up_nobody_and_are_all_cut_off(port: int) -> None:
    halves = list(HALVES.values())
    async with AsyncExitStack() as waiting:
        slow = [
            await waiting.enter_async_context(connected(port, halves[n % len(halves)]))
            for n in range(300)
        ]
        healthy = await asyncio.gather(*(answer_to(port, READ + b"\r\n") for _ in range(20)))
        rests = await asyncio.gather(*(reader.read() for reader, _ in slow))

    assert {status(answer) for answer in healthy} == {200}
    assert {status(rest) for rest in rests} == {408}


class Impatient(Connection):
    head_timeout_s = body_timeout_s = read_timeout_s = linger_s = PATIENCE_S


async def large(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(30 if scope["path"] == "/pieces" else 0):
        await send({"type": "http.response.body", "body": bytes(1_000_000), "more_body": True})
    await send({"type": "http.response.body", "body": bytes(30_000_000)})


@asynccontextmanager
async def impatient_server() -> AsyncGenerator[tuple[Any, uvicorn.Server]]:
    """Give the address of a server in this process, and the server."""
    server = uvicorn.Server(uvicorn.Config(large, http=Impatient, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname(), server
        server.should_exit = True
        async with asyncio.timeout(DEADLINE_S):
            await serving


async def is_rid_of_it(server: uvicorn.Server) -> bool:
    return not server.server_state.connections


@pytest.mark.parametrize("path", [b"/whole", b"/pieces"])
@pytest.mark.parametrize("kind", [b"close", b"keep-alive"])
async def test_who_does_not_take_the_answer_is_cut_off(path: bytes, kind: bytes) -> None:
    async with impatient_server() as (address, server):
        with socket.create_connection(address) as client:
            client.send(b"GET " + path + b" HTTP/1.1\r\n" + HEAD.replace(b"close", kind) + b"\r\n")
            # What has begun to come shows that there is a connection to be rid of.
            first = await asyncio.to_thread(client.recv, 10)
            assert await eventually(partial(is_rid_of_it, server))

    assert first.startswith(b"HTTP/1.1 2")


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n", 414),
        (b"GET http://[ HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n", 400),
    ],
)
async def test_who_stays_after_a_refusal_is_cut_off(
    wrong: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with impatient_server() as (address, server):
        with socket.create_connection(address) as client:
            client.send(wrong + HEAD + b"\r\n")
            answer = await asyncio.to_thread(client.recv, 10_000)
            assert await eventually(partial(is_rid_of_it, server))

    assert status(answer) == code
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
