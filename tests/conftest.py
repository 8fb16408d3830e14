"""Real Postgres and Valkey for every test: started once, one database per xdist worker."""

import os
import random
import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis.asyncio
from alembic import command
from alembic.config import Config
from litestar import Litestar
from litestar.testing import AsyncTestClient
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database, connect, transaction
from db.tables import metadata
from domain.task import Queue
from ops.config import Settings
from ops.local.servers import blocking_servers
from tests.application import build_again
from tests.order import dealt
from tests.staff import SECRET_KEY, STAFF, TOKEN_KEY, hire

ROOT = Path(__file__).parent.parent
TEMPLATE = "orderflow_template"
KEPT = {"queues"}
APPEND_ONLY = ("audit_log", "stock_movements")
GROWN_BYTES = 262_144
SIZES = (
    "SELECT relname, pg_relation_size(oid) AS octets FROM pg_class"
    " WHERE relname = ANY(%(tables)s) AND relkind = 'r'"
)
AS_MIGRATED = "UPDATE queues SET paused = false, running_max = NULL, drain_to = NULL"
# Tests ask more often than people do; those of limits set their own.
UNLIMITED: Mapping[str, Any] = dict.fromkeys(
    (
        *("rate_anonymous", "rate_authenticated", "rate_premium", "rate_machine"),
        *("rate_login", "rate_register", "rate_reset"),
    ),
    0,
)

# Its first draws are all above 0.6: what is retried later is not retried within a test's drain.
SEED = 3439

_running = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers and migrate the template, in the process that starts the workers."""
    if hasattr(config, "workerinput"):
        return
    config.stash[_running] = stack = ExitStack()
    state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orderflow-tests-")))
    given = {k: v for k, v in os.environ.items() if k in {"DATABASE_URL", "REDIS_URL", "PATH"}}
    running = stack.enter_context(blocking_servers(state, given, durable=False))
    os.environ["DATABASE_URL"] = _named(running.database_url, TEMPLATE)
    os.environ["REDIS_URL"] = running.redis_url
    with psycopg.connect(running.database_url, autocommit=True) as admin:
        name = sql.Identifier(TEMPLATE)
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
    command.upgrade(Config(toml_file=ROOT / "pyproject.toml"), "head")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers."""
    if stack := config.stash.get(_running, None):
        stack.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long."""
    given: Mapping[str, Any] = getattr(config, "workerinput", {})
    items[:] = dealt(items, given.get("workercount", 1))


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def database_url(worker_id: str) -> Generator[str]:
    """A database of this worker's own, cloned from the migrated template."""
    template, database = os.environ["DATABASE_URL"], f"orderflow_test_{worker_id}"
    name = sql.Identifier(database)
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY WAL_LOG")
    with psycopg.connect(_named(template, "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        admin.execute(clone.format(name, sql.Identifier(TEMPLATE)))
        yield _named(template, database)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(scope="session")
def redis_url(worker_id: str) -> str:
    """A Redis database of this worker's own."""
    number = 1 + int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 1
    base = os.environ["REDIS_URL"].partition("?")[0]
    return f"{base}?db={number}" if base.startswith("unix:") else f"{base.rstrip('/')}/{number}"


@pytest.fixture(autouse=True)
def jitter() -> None:
    """Have retries wait as long in every run."""
    random.seed(SEED)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        **UNLIMITED,
        # Tables are emptied beneath the caches: no test finds in Redis what another one showed.
        revision=uuid4().hex,
        # How fast this machine is just now is not what is tested.
        slow_statement_ms=0,
        redis_timeout_s=10,
        statement_timeout_s=15,
        transaction_timeout_s=20,
        idle_in_transaction_timeout_s=25,
        request_timeout_s=40,
        secret_keys=SECRET_KEY,
        token_keys=TOKEN_KEY,
    )


@pytest.fixture
def rung() -> list[frozenset[Queue]]:
    """What `database` rang, in order."""
    return []


@pytest.fixture
async def database(settings: Settings, rung: list[frozenset[Queue]]) -> AsyncGenerator[Database]:
    """The database for code that commits, with an admin; all tables are emptied afterwards."""
    made = connect(settings, name="orderflow tests", ring=rung.append)
    await hire(made)
    yield made
    await empty(made)
    await made.engine.dispose()


async def empty(database: Database) -> None:
    """Empty all tables; those that refuse that, as they are append-only, with their triggers off.

    TRUNCATE makes new files for every table and index, so it is for what has grown.
    """
    tables = [table.name for table in reversed(metadata.sorted_tables) if table.name not in KEPT]
    async with transaction(database) as tx:
        found = await tx.exec_driver_sql(SIZES, {"tables": tables})
        size = {row.relname: row.octets for row in found}
        emptied = [f"DELETE FROM {table}" for table in tables if size[table]]  # noqa: S608 - ours
        refusing = [table for table in APPEND_ONLY if size[table]]
        if max(size.values()) > GROWN_BYTES:
            emptied, refusing = [f"TRUNCATE {', '.join(tables)}"], [*APPEND_ONLY]
        for table in refusing:
            await tx.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only")
        await tx.exec_driver_sql("; ".join((*emptied, AS_MIGRATED)))
        for table in refusing:
            await tx.exec_driver_sql(f"ALTER TABLE {table} ENABLE TRIGGER {table}_append_only")


@pytest.fixture
async def tx(database: Database) -> AsyncGenerator[AsyncConnection]:
    """A transaction that is rolled back."""
    with suppress(_RolledBack):
        async with transaction(database) as opened:
            yield opened
            raise _RolledBack


class _RolledBack(Exception):
    pass


@pytest.fixture
async def valkey(redis_url: str) -> AsyncGenerator["redis.asyncio.Redis"]:
    """A client of the worker's own Redis database, which is emptied before and after."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()
        yield client
        await client.flushdb()


@pytest.fixture
async def app(settings: Settings, database: Database) -> Litestar:
    """The real web application; `database` empties what it commits."""
    del database
    return build_again(settings)


@pytest.fixture
async def client(app: Litestar) -> AsyncGenerator[AsyncTestClient[Litestar]]:
    """An HTTP client of the application, as staff."""
    async with AsyncTestClient(app, raise_server_exceptions=False) as made:
        made.headers.update(STAFF)
        yield made


@pytest.fixture
def staff() -> dict[str, str]:
    """Headers of a member of staff."""
    return dict(STAFF)
