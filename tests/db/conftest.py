"""What the code under test must not see coming: a second way in, and a Valkey to be maltreated."""

import os
from collections.abc import AsyncGenerator, Generator
from typing import Any

import psycopg
import pytest
import redis.asyncio

from ops.local.servers import blocking_servers
from tests.waiting import eventually

Admin = psycopg.AsyncConnection[Any]


async def until_blocked(admin: Admin, count: int = 1) -> None:
    """Return once so many connections of the same database wait for locks."""

    async def blocked() -> bool:
        found = await admin.execute(
            """
            SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'
            """
        )
        return found.rowcount == count

    await eventually(blocked)


@pytest.fixture
async def admin(database_url: str) -> AsyncGenerator[Admin]:
    """A connection of its own, outside the pool; every statement commits."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as made:
        yield made


@pytest.fixture(scope="session")
def lone_valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A Valkey of this worker's own, for harm that would reach every database of a shared one."""
    state = tmp_path_factory.mktemp("lone-valkey")
    given = {"DATABASE_URL": "postgresql:///not-needed", "PATH": os.environ["PATH"]}
    with blocking_servers(state, given, durable=False) as running:
        yield running.redis_url


@pytest.fixture
async def lone_valkey(
    lone_valkey_server: str,
) -> AsyncGenerator["redis.asyncio.Redis"]:
    """A client of it; it is emptied before, and who still listens there is cut off."""
    async with redis.asyncio.Redis.from_url(lone_valkey_server) as client:
        await client.flushall()
        await client.execute_command("CLIENT KILL TYPE pubsub")
        yield client
