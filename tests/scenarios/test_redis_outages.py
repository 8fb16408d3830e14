"""Redis is disposable: orders are accepted, and brought to their end, whatever becomes of it."""

import time
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import msgspec
import pytest
import redis.asyncio
from litestar import Litestar

from db.doorbell import REDIS_TIMEOUT_S
from db.engine import Database
from ops.config import Settings
from ops.local.servers import Servers, servers
from tests.application import build_again
from tests.bank import Bank
from tests.builders import put_products
from tests.records import assert_sound, at_rest, statuses
from tests.scenarios.processes import Surroundings, running, said
from tests.waiting import eventually
from tests.web import post_order, served

ORDERS = 5


@pytest.fixture
async def redis_server(tmp_path: Path, settings: Settings) -> AsyncGenerator[Servers]:
    """A Redis of the test's own, to be stopped and wiped."""
    environ = {"DATABASE_URL": settings.database_url}
    async with servers(tmp_path / "state", environ, durable=False, say=said) as running_servers:
        yield running_servers


@pytest.fixture
def settings_with_redis(settings: Settings, redis_server: Servers) -> Settings:
    return msgspec.structs.replace(settings, redis_url=redis_server.redis_url)


@pytest.fixture
def place_of_work(surroundings: Surroundings, settings_with_redis: Settings) -> Surroundings:
    return msgspec.structs.replace(surroundings, settings=settings_with_redis)


@pytest.fixture
def app(settings_with_redis: Settings, database: Database) -> Litestar:
    del database
    return build_again(settings_with_redis)


@pytest.fixture
async def client(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    async with served(app) as client:
        yield client


async def assert_accepted_at_once(client: httpx.AsyncClient) -> None:
    took_s: list[float] = []
    for _ in range(ORDERS):
        began = time.perf_counter()
        answer = await post_order(client, ("APPLE", 1))
        took_s.append(time.perf_counter() - began)
        assert answer.status_code == 202, answer.text
    # So long takes a request that waits for a Redis which does not answer.
    assert median(took_s) < REDIS_TIMEOUT_S


async def assert_all_paid_once(database: Database, bank: Bank, orders: int) -> None:
    await eventually(partial(at_rest, database))
    assert await statuses(database) == {"paid": orders}
    assert bank.verbs() == ["charge"] * orders
    await assert_sound(database)


async def test_redis_wiped_in_the_middle_of_the_work(
    database: Database, client: httpx.AsyncClient, place_of_work: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=100)
    url = place_of_work.settings.redis_url
    async with running(place_of_work, "worker", "clock"), redis.asyncio.from_url(url) as valkey:
        bank.entrance.shut()
        await assert_accepted_at_once(client)
        await bank.entrance.until_waiting(ORDERS)
        await valkey.flushall()
        await assert_accepted_at_once(client)
        await valkey.flushall()
        await bank.entrance.open()

        await assert_all_paid_once(database, bank, 2 * ORDERS)


async def test_redis_down_in_the_middle_of_the_work(
    database: Database,
    client: httpx.AsyncClient,
    place_of_work: Surroundings,
    redis_server: Servers,
    bank: Bank,
) -> None:
    await put_products(database, APPLE=100)
    async with running(place_of_work, "worker", "clock"):
        bank.entrance.shut()
        await assert_accepted_at_once(client)
        await bank.entrance.until_waiting(ORDERS)
        await redis_server.fleet.stop("valkey")
        await bank.entrance.open()
        await assert_accepted_at_once(client)
        await redis_server.fleet.start("valkey")

        await assert_all_paid_once(database, bank, 2 * ORDERS)


async def test_all_is_paid_while_redis_is_down(
    database: Database,
    client: httpx.AsyncClient,
    place_of_work: Surroundings,
    redis_server: Servers,
    bank: Bank,
) -> None:
    await put_products(database, APPLE=1000)
    async with running(place_of_work, "worker", "clock") as fleet:
        await assert_accepted_at_once(client)
        await assert_all_paid_once(database, bank, ORDERS)
        await redis_server.fleet.stop("valkey")
        await assert_accepted_at_once(client)

        await assert_all_paid_once(database, bank, 2 * ORDERS)

        # A worker that has never seen it works, too.
        await fleet.restart("worker")
        await assert_accepted_at_once(client)
        await assert_all_paid_once(database, bank, 3 * ORDERS)


async def test_all_is_paid_while_redis_takes_no_writes(
    database: Database, client: httpx.AsyncClient, place_of_work: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=1000)
    url = place_of_work.settings.redis_url
    async with running(place_of_work, "worker", "clock"), redis.asyncio.from_url(url) as valkey:
        await valkey.config_set("maxmemory", "1")
        await assert_accepted_at_once(client)

        await assert_all_paid_once(database, bank, ORDERS)


async def test_redis_that_hangs_delays_no_request(
    database: Database, client: httpx.AsyncClient, place_of_work: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=100)
    url = place_of_work.settings.redis_url
    async with running(place_of_work, "worker", "clock"), redis.asyncio.from_url(url) as valkey:
        await valkey.execute_command("CLIENT", "PAUSE", "2000", "ALL")
        await assert_accepted_at_once(client)

        await assert_all_paid_once(database, bank, ORDERS)
