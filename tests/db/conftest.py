"""What the code under test must not see coming: a second way in, and a Valkey to be maltreated."""

import os
from collections.abc import AsyncGenerator, Generator
from contextlib import closing

import msgspec
import psycopg
import pytest
import redis.asyncio

from db.doorbell import Doorbell, WakingBroker, broker
from db.engine import Database, connect
from ops.config import Settings
from ops.local.servers import blocking_servers
from tests.db.backends import Admin
from tests.db.rings import Valkey


@pytest.fixture
async def admin(database_url: str) -> AsyncGenerator[Admin]:
    """A connection of its own, outside the pool; every statement commits."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as made:
        yield made


@pytest.fixture
async def impatient(settings: Settings) -> AsyncGenerator[Database]:
    """A database with two connections and the shortest of patience."""
    short = msgspec.structs.replace(
        settings,
        database_pool_max=2,
        lock_timeout_s=0.05,
        statement_timeout_s=0.2,
        transaction_timeout_s=0.3,
        idle_in_transaction_timeout_s=0.4,
    )
    made = connect(short, name="impatient tests", ring=lambda _: None)
    yield made
    await made.engine.dispose()


@pytest.fixture(scope="session")
def lone_valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A Valkey of this worker's own, for harm that would reach every database of a shared one."""
    state = tmp_path_factory.mktemp("lone-valkey")
    given = {"DATABASE_URL": "postgresql:///not-needed", "PATH": os.environ["PATH"]}
    with blocking_servers(state, given, durable=False) as running:
        yield running.redis_url


@pytest.fixture
async def lone_valkey(lone_valkey_server: str) -> AsyncGenerator[Valkey]:
    """A client of it; it is emptied before, and who still listens there is cut off."""
    async with redis.asyncio.Redis.from_url(lone_valkey_server) as client:
        await client.flushall()
        await client.execute_command("CLIENT KILL TYPE pubsub")
        yield client


@pytest.fixture
def far(lone_valkey_server: str) -> Settings:
    """Settings of a process that uses the lone Valkey."""
    return Settings(redis_url=lone_valkey_server)


@pytest.fixture
def doorbell(far: Settings) -> Doorbell:
    """The doorbell of one process."""
    return Doorbell(broker(far))


@pytest.fixture
def worker(far: Settings) -> Generator[WakingBroker]:
    """The broker of another process."""
    with closing(broker(far)) as made:
        yield made
