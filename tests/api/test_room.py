"""Sockets by the hundred: silent ones make way, and whoever asks gets an answer."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import msgspec
import pytest
import uvicorn

from api.connection import patient
from ops.config import Settings
from tests.api.sockets import DEADLINE_S, HEAD, READ, status
from tests.waiting import eventually

OURS = "127.0.0.1"
OPEN_MAX, OF_ADDRESS_MAX = 40, 10
ASK = READ + b"\r\n"
WAIT = b"GET /wait HTTP/1.1\r\n" + HEAD + b"\r\n"
KEPT = ASK.replace(b"close", b"keep-alive")
SLOW_BODY = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n" + HEAD + b"\r\nx"
SETTINGS = Settings(connections_max=OPEN_MAX, connections_per_address_max=OF_ADDRESS_MAX)


class Client(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Shop(NamedTuple):
    port: int
    open: asyncio.Event  # until it is set, /wait is not answered
    clients: list[Client]


@asynccontextmanager
async def shop(settings: Settings = SETTINGS) -> AsyncGenerator[Shop]:
    opened = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/wait":
            await opened.wait()
        elif scope["method"] == "POST":
            await receive()
            await receive()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    config = uvicorn.Config(app, http=patient(settings), log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - of every 127.x.y.z
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        shop = Shop(listener.getsockname()[1], opened, [])
        async with asyncio.timeout(DEADLINE_S):
            yield shop
            opened.set()
            await leave(shop.clients)
            server.should_exit = True
            await serving


async def connect(to: Shop, said: bytes = b"", *, of: str = OURS) -> Client:
    """Connect from an address of this machine, of which it has sixteen million."""
    client = Client(*await asyncio.open_connection(OURS, to.port, local_addr=(of, 0)))
    to.clients.append(client)
    client.writer.write(said)
    return client


async def ask(to: Shop, *, of: str = OURS) -> bytes:
    return await (await connect(to, ASK, of=of)).reader.read()


async def crowd(to: Shop, said: bytes, *addresses: str) -> list[Client]:
    """A client each, all of whom the shop has met."""
    clients = [await connect(to, said, of=address) for address in addresses]
    # Connections are taken in one after the other: who is answered now came after all of them.
    assert status(await ask(to, of="127.9.9.9")) == 200
    return clients


async def are_cut_off(clients: list[Client]) -> bool:
    return {await client.reader.read() for client in clients} == {b""}


async def leave(clients: list[Client]) -> None:
    for client in clients:
        client.writer.close()
        # Who was cut off may still have said something.
        with suppress(ConnectionError):
            await client.writer.wait_closed()


@pytest.mark.parametrize("said", [b"", READ, SLOW_BODY], ids=["nothing", "half a head", "a body"])
async def test_address_that_holds_sockets_open_loses_those_and_is_answered(said: bytes) -> None:
    async with shop() as to:
        silent = await crowd(to, said, *[OURS] * 300)

        answers = [await ask(to) for _ in range(3)]

        assert {status(answer) for answer in answers} == {200}
        assert await are_cut_off(silent[: -OF_ADDRESS_MAX + 1])


async def test_many_addresses_that_hold_sockets_open_keep_nobody_out() -> None:
    many = [f"127.0.{n % 100}.1" for n in range(1, 201)]
    async with shop() as to:
        silent = await crowd(to, b"", *many)

        assert status(await ask(to)) == 200
        assert await are_cut_off(silent[: -OPEN_MAX + 1])


async def test_who_has_just_asked_stays_before_who_is_silent() -> None:
    async with shop() as to:
        client = await connect(to)
        [silent] = await crowd(to, b"", OURS)
        client.writer.write(KEPT)
        await client.reader.readuntil(b"ok")
        await crowd(to, b"", *[OURS] * (OF_ADDRESS_MAX - 1))
        client.writer.write(ASK)

        assert status(await client.reader.read()) == 200
        assert await are_cut_off([silent])


async def test_who_is_being_answered_is_not_cut_off_and_one_more_is_told_so() -> None:
    async with shop() as to:
        waiting = await crowd(to, WAIT, *[OURS] * OF_ADDRESS_MAX)

        refused = await ask(to)
        elsewhere = await ask(to, of="127.0.0.2")
        to.open.set()
        answers = [await client.reader.read() for client in waiting]

        assert status(refused) == 503
        assert b"retry-after: " in refused
        assert b'"code":"overloaded"' in refused
        assert status(elsewhere) == 200
        assert {status(answer) for answer in answers} == {200}


async def test_trusted_proxy_has_as_many_as_there_is_room_for() -> None:
    settings = msgspec.structs.replace(SETTINGS, trusted_proxies=f"{OURS}/32")
    async with shop(settings) as to:
        waiting = await crowd(to, WAIT, *[OURS] * 3 * OF_ADDRESS_MAX)

        to.open.set()
        answers = [await client.reader.read() for client in waiting]

        assert {status(answer) for answer in answers} == {200}


async def test_those_who_left_make_room() -> None:
    async with shop() as to:
        await leave(await crowd(to, WAIT, *[OURS] * OF_ADDRESS_MAX))

        async def is_answered() -> bool:
            return status(await ask(to)) == 200

        assert await eventually(is_answered)
