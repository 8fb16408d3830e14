"""More than can be done: refused at once and in good order, and nothing is lost or left behind."""

import asyncio
import time
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, cast

import httpx
import msgspec
import pytest
from litestar import Litestar

from api.application import build
from api.load import Bounded
from db.engine import Database, transaction
from db.ids import new_id
from ops.config import SettingInvalid, Settings
from ops.config import settings as read
from tests.api.routes import SKU, send
from tests.builders import put_product
from tests.postgres import locked, waiting_for_locks
from tests.waiting import eventually
from tests.web import STAFF, assert_problem, post_order, served

PRODUCT = f"/v1/variants/{SKU}"
AT_ONCE_MAX = 4
# Shorter than the database takes to give up, long enough for a busy machine.
TIMEOUT_S = 0.5


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, requests_max=AT_ONCE_MAX)


class Gate:
    """An application whose requests wait until it is opened."""

    def __init__(self) -> None:
        self.waiting = 0
        self.open = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == "/fails":
            raise RuntimeError("a bug")
        self.waiting += 1
        await self.open.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def bounded(gate: Gate) -> AsyncGenerator[httpx.AsyncClient]:
    app = Bounded(cast("Any", gate), at_once_max=AT_ONCE_MAX, timeout_s=60, exempt={"/health/live"})
    transport = httpx.ASGITransport(cast("Any", app))
    async with httpx.AsyncClient(transport=transport, base_url="http://orderflow.test") as made:
        yield made


async def test_what_is_too_much_is_refused_at_once_and_the_rest_is_done(
    bounded: httpx.AsyncClient, gate: Gate
) -> None:
    under_way = [asyncio.create_task(bounded.get("/")) for _ in range(AT_ONCE_MAX)]
    assert await eventually(partial(_are_waiting, gate, AT_ONCE_MAX))

    refused = [await bounded.get("/") for _ in range(3)]
    gate.open.set()
    done = await asyncio.gather(*under_way)

    for answer in refused:
        assert_problem(answer, 503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
    assert {answer.status_code for answer in done} == {200}
    assert (await bounded.get("/")).status_code == 200


async def test_probes_get_through_a_flood(bounded: httpx.AsyncClient, gate: Gate) -> None:
    tasks = [asyncio.create_task(bounded.get("/")) for _ in range(AT_ONCE_MAX)]
    tasks.append(asyncio.create_task(bounded.get("/health/live")))

    assert await eventually(partial(_are_waiting, gate, AT_ONCE_MAX + 1))
    gate.open.set()

    assert {answer.status_code for answer in await asyncio.gather(*tasks)} == {200}


async def test_a_request_that_fails_or_leaves_makes_room(
    bounded: httpx.AsyncClient, gate: Gate
) -> None:
    for _ in range(AT_ONCE_MAX + 1):
        with pytest.raises(RuntimeError, match="a bug"):
            await bounded.get("/fails")
        leaving = asyncio.create_task(bounded.get("/"))
        before = gate.waiting
        assert await eventually(partial(_are_waiting, gate, before + 1))
        leaving.cancel()
        await asyncio.wait([leaving])
    gate.open.set()

    assert (await bounded.get("/")).status_code == 200


async def _are_waiting(gate: Gate, number: int) -> bool:
    return gate.waiting >= number


async def put(client: httpx.AsyncClient) -> httpx.Response:
    return await send(client, "PUT", PRODUCT)


async def test_a_flood_is_shed_before_the_pool_is_empty(app: Litestar, database: Database) -> None:
    """Those who are let in wait for a lock; those who are not know it long before the lock does."""
    async with served(app) as client:
        async with locked(database, "products"):
            under_way = [asyncio.create_task(put(client)) for _ in range(AT_ONCE_MAX)]
            assert await eventually(partial(_wait_for_locks, database, AT_ONCE_MAX))
            began = time.perf_counter()
            refused = await asyncio.gather(*(put(client) for _ in range(50)))
            seconds = time.perf_counter() - began
            ready = await client.get("/health/ready")
        done = await asyncio.gather(*under_way)

    assert {answer.status_code for answer in refused} == {503}
    assert {answer.json()["code"] for answer in refused} == {"overloaded"}
    assert seconds < 1
    assert ready.status_code == 200
    assert {answer.status_code for answer in done} <= {200, 201}


async def _wait_for_locks(database: Database, number: int) -> bool:
    return await waiting_for_locks(database) >= number


@pytest.fixture
async def hasty(settings: Settings, database: Database) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an application that gives up before its database does."""
    async with transaction(database) as tx:
        await put_product(tx, "APPLE", price_minor=250)
    app = build(settings)
    app.asgi_handler = Bounded(app.asgi_handler, at_once_max=99, timeout_s=TIMEOUT_S, exempt=())
    async with served(app) as client:
        yield client


async def test_a_request_that_takes_too_long_is_answered_and_gives_back_what_it_held(
    hasty: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    async with locked(database, "products"):
        slow = await asyncio.gather(*(put(hasty) for _ in range(AT_ONCE_MAX)))

    for answer in slow:
        assert_problem(answer, 504, "timed_out")
        assert int(answer.headers["retry-after"]) >= 1
    again = [await put(hasty) for _ in range(settings.database_pool_max + 1)]
    assert {answer.status_code for answer in again} <= {200, 201}


async def test_an_order_that_was_given_up_is_placed_once_by_its_key(
    hasty: httpx.AsyncClient, database: Database
) -> None:
    key = str(new_id())
    async with locked(database, "idempotency_keys"):
        given_up = await post_order(hasty, ("APPLE", 1), key=key)

    answers = [await post_order(hasty, ("APPLE", 1), key=key) for _ in range(2)]

    assert_problem(given_up, 504, "timed_out")
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    async with transaction(database) as tx:
        assert (await tx.exec_driver_sql("SELECT count(*) FROM orders")).scalar_one() == 1


async def test_a_stream_lasts_as_long_as_its_reader_likes() -> None:
    opened, ended = asyncio.Event(), asyncio.Event()

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        opened.set()
        await ended.wait()
        await send({"type": "http.response.body", "body": b"last", "more_body": False})

    app = Bounded(cast("Any", stream), at_once_max=1, timeout_s=0.05, exempt=())
    transport = httpx.ASGITransport(cast("Any", app))
    async with httpx.AsyncClient(transport=transport, base_url="http://orderflow.test") as client:
        asking = asyncio.create_task(client.get("/"))
        await opened.wait()
        # Twice as long as a request may take.
        await asyncio.wait([asking], timeout=0.1)
        ended.set()
        answer = await asking

    assert answer.content == b"firstlast"


def test_a_request_has_more_time_than_its_transaction() -> None:
    with pytest.raises(SettingInvalid, match="TRANSACTION_TIMEOUT_S must be below REQUEST_TIMEOUT"):
        read({"REQUEST_TIMEOUT_S": "8"})


async def test_slow_bodies_take_nobodys_place(app: Litestar, database: Database) -> None:
    """As many as may be under way stand in the middle of their body, and another one is served."""
    del database
    sending, ended = asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> AsyncGenerator[bytes]:
        yield b'{"on_hand'
        sending.release()
        await ended.wait()
        yield b'": 5}'

    async with served(app) as client:
        bodies = [asyncio.create_task(send_slowly(app, slow())) for _ in range(AT_ONCE_MAX)]
        for _ in range(AT_ONCE_MAX):
            await sending.acquire()
        answer = await put(client)
        ended.set()
        codes = await asyncio.gather(*bodies)

    assert answer.status_code in {200, 201}
    assert set(codes) == {404}


async def send_slowly(app: Litestar, body: AsyncGenerator[bytes]) -> int:
    """Ask as a server does that passes each piece of a body on as it comes; gives the status."""
    said: list[dict[str, Any]] = []
    headers = {"content-type": "application/json", "transfer-encoding": "chunked", **STAFF}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "PUT",
        "path": "/v1/stock/NONE",
        "raw_path": b"",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "root_path": "",
    }

    async def receive() -> dict[str, Any]:
        piece = await anext(body, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def tell(message: dict[str, Any]) -> None:
        said.append(message)

    await cast("Any", app)(scope, receive, tell)
    return said[0]["status"]
