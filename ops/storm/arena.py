"""Where a storm takes place: a whole platform, twofold, whose every connection can be cut."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from ops.bench import books
from ops.local import procfile
from ops.local.child import Say
from ops.local.environment import Addresses, assemble
from ops.local.ports import HOST, Ports, ports
from ops.local.program import CHECKOUT, Program
from ops.local.servers import Servers, servers
from ops.local.staff import hire
from ops.local.supervise import Fleet, run_to_end, supervised
from ops.local.up import SANDBOX
from ops.storm import witness
from ops.storm.clocks.offsets import Clocks
from ops.storm.disk import small_disk
from ops.storm.plan import CURRENCY, PLENTY, lies_at_two_places, prices, waited_for
from ops.storm.postgres_wire import CommitCuts, PostgresEar
from ops.storm.proxy import Proxy, Upstream
from ops.storm.redis_wire import LostReplies, RedisEar

LEASE_S = 5.0
# The second look-up comes after it, and the first one in that part of it in which a call may be
# sent again under its key.
WINDOW_S = 28.0
# The same worker, with poison in it.
_POISONED = ("workers.app", "ops.storm.worker")
# Of each line of the Procfile that serves.
_TWINS = ("1", "2")
_GRACE_S = 5.0
_SANDBOX_GRACE_S = 1.0
_PROBE_TIMEOUT_S = 2.0
_PORTS_FIRST = 8100
_POSTGRES_PORT = 5432
# The platform's own waits, short enough to see their ends in a short storm. Each ladder rises.
SETTINGS: Mapping[str, str] = {
    "GATEWAY_TIMEOUT_S": "2",
    "TASK_TIMEOUT_S": "3",
    "SHUTDOWN_GRACE_S": "4",
    "LEASE_S": f"{LEASE_S:g}",
    "LOCK_TIMEOUT_S": "1",
    "STATEMENT_TIMEOUT_S": "2.5",
    "TRANSACTION_TIMEOUT_S": "4",
    "IDLE_IN_TRANSACTION_TIMEOUT_S": "5",
    "GATEWAY_WINDOW_S": f"{WINDOW_S:g}",
    "BREAKER_OPEN_S": "2",
    "RESERVATION_S": "30",
    # Two cores that do all of this at once answer no more than these in time.
    "REQUESTS_MAX": "100",
}


_LOCATIONS = """
INSERT INTO locations (id, code, name, country) VALUES
    (gen_random_uuid(), 'north', 'North', 'GB'), (gen_random_uuid(), 'south', 'South', 'GB')
"""
_HALVES = """
WITH shared AS (
    UPDATE stock SET located = true WHERE sku = ANY (%s) RETURNING sku, on_hand
)
INSERT INTO stock_levels (sku, location_id, on_hand)
SELECT sku, id, on_hand / 2 FROM shared CROSS JOIN locations
"""


class Tapped(msgspec.Struct, frozen=True):
    """The proxies that everything goes through, and what decides over single messages."""

    postgres: Proxy
    redis: Proxy
    gateway: Proxy
    commits: CommitCuts
    lost: LostReplies


class Arena(msgspec.Struct, frozen=True, kw_only=True):
    """A running platform; its URLs lead past the proxies. `disk` is that of the servers alone."""

    urls: tuple[str, ...]
    admin_api_key: str
    env: Mapping[str, str]
    up: Servers
    gateway_url: str
    fleet: Fleet
    tapped: Tapped
    clocks: Clocks
    disk: Path | None

    @property
    def database_url(self) -> str:
        return self.up.database_url

    @property
    def redis_url(self) -> str:
        return self.up.redis_url

    @property
    def sandbox(self) -> Path:
        """Folder of the gateway's ledger and the mails."""
        return Path(self.env["SANDBOX_DIR"])

    @property
    def servers(self) -> Fleet:
        return self.up.fleet

    def twins(self, line: str) -> list[str]:
        """Name the processes of a line of the Procfile."""
        return [name for name in self.fleet.children if name.startswith(f"{line}-")]


@asynccontextmanager
async def arena(folder: Path, stock: Mapping[str, int], say: Say) -> AsyncGenerator[Arena]:
    """Start a platform with fresh books, and stop it on leaving. Raises CannotStart."""
    environ = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    async with AsyncExitStack() as stack:
        free = stack.enter_context(ports())
        disk = await stack.enter_async_context(small_disk(folder / "state"))
        up = await stack.enter_async_context(servers(folder / "state", environ, say=say))
        at = [_address(free) for _ in _TWINS]
        tapped = _tapped(up, at[0])
        for proxy in (tapped.postgres, tapped.redis, tapped.gateway):
            await stack.enter_async_context(proxy.listening())
        env = _environment(environ, up, at[0], tapped, folder)
        await _fresh(up.database_url, Path(env["SANDBOX_DIR"]), env, stock, say)
        key = await hire(up.claim.state, {**env, "DATABASE_URL": up.database_url}, say)
        sandbox = procfile.program("sandbox", SANDBOX, env)
        outside = await stack.enter_async_context(
            supervised([sandbox], say=say, grace_s=_SANDBOX_GRACE_S)
        )
        gateway_url = f"http://{HOST}:{at[0].gateway}"
        await outside.ready("sandbox", partial(_answers, f"{gateway_url}/faults"))
        clocks = Clocks((folder / "clocks").resolve())
        programs = _programs(env, at, clocks)
        fleet = await stack.enter_async_context(supervised(programs, say=say, grace_s=_GRACE_S))
        urls = tuple(f"http://{HOST}:{one.web}" for one in at)
        for name, url in zip(_TWINS, urls, strict=True):
            await fleet.ready(f"web-{name}", partial(_answers, f"{url}/health/ready"))
        yield Arena(
            urls=urls,
            admin_api_key=key,
            env=env,
            up=up,
            gateway_url=gateway_url,
            fleet=fleet,
            tapped=tapped,
            clocks=clocks,
            disk=disk,
        )


def _tapped(up: Servers, at: Addresses) -> Tapped:
    commits, lost = CommitCuts(), LostReplies()
    return Tapped(
        postgres=Proxy(_postgres(up.database_url), partial(PostgresEar, commits)),
        redis=Proxy(_unix(urlsplit(up.redis_url).path), partial(RedisEar, lost)),
        gateway=Proxy(partial(asyncio.open_connection, HOST, at.gateway)),
        commits=commits,
        lost=lost,
    )


def _address(free: Ports) -> Addresses:
    web, gateway, inbox, smtp = (free.near(_PORTS_FIRST) for _ in range(4))
    return Addresses(web, gateway, inbox, smtp)


def _environment(
    environ: Mapping[str, str], up: Servers, at: Addresses, tapped: Tapped, folder: Path
) -> Mapping[str, str]:
    user, name = (conninfo_to_dict(up.database_url)[part] for part in ("user", "dbname"))
    # The proxy reads what passes, so nothing may be encrypted.
    database_url = (
        f"postgresql://{quote(str(user))}@{HOST}:{tapped.postgres.port}/{quote(str(name))}"
        "?sslmode=disable&gssencmode=disable"
    )
    redis_url = f"redis://{HOST}:{tapped.redis.port}/0"
    env = assemble(environ, up.claim.state, at, database_url, redis_url)
    # Only the servers' disk is ever full: what they are checked by lies elsewhere.
    apart = {
        "SANDBOX_DIR": str((folder / "sandbox").resolve()),
        "PROMETHEUS_MULTIPROC_DIR": str((folder / "metrics").resolve()),
        "STRIPE_API_BASE": f"http://{HOST}:{tapped.gateway.port}",
    }
    return {**env, **SETTINGS, **apart}


def _programs(env: Mapping[str, str], at: list[Addresses], clocks: Clocks) -> list[Program]:
    commands = procfile.parse((CHECKOUT / "Procfile").read_text())
    del commands[procfile.RELEASE]
    made: list[Program] = []
    for line, command in commands.items():
        for twin, address in zip(_TWINS, at, strict=True):
            name = f"{line}-{twin}"
            own = {**env, **clocks.environment(name), "PORT": str(address.web)}
            made.append(procfile.program(name, command.replace(*_POISONED), own))
    return made


async def _fresh(
    url: str, sandbox: Path, env: Mapping[str, str], stock: Mapping[str, int], say: Say
) -> None:
    """Leave nothing of an earlier storm, and write the catalogue with its stock."""
    for emptied in (sandbox, Path(env["PROMETHEUS_MULTIPROC_DIR"])):
        await asyncio.to_thread(shutil.rmtree, emptied, ignore_errors=True)
        await asyncio.to_thread(emptied.mkdir, parents=True)
    await books.renew(url)
    argv = (sys.executable, "-m", "alembic", "upgrade", "head")
    await run_to_end(Program(name="release", argv=argv, env={**env, "DATABASE_URL": url}), say)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await witness.call(connection)
        for sku, price_minor in prices().items():
            await connection.execute(
                "INSERT INTO variants (sku, name, price_minor, currency) VALUES (%s, %s, %s, %s)",
                (sku, sku.title(), price_minor, CURRENCY),
            )
            await connection.execute(
                "INSERT INTO stock (sku, on_hand, backorder_max) VALUES (%s, %s, %s)",
                (sku, stock[sku], PLENTY if waited_for(sku) else 0),
            )
        await connection.execute(_LOCATIONS)
        shared = [sku for sku in stock if lies_at_two_places(sku)]
        await connection.execute(_HALVES, (shared,))


def _unix(path: str) -> Upstream:
    return partial(asyncio.open_unix_connection, path)


def _postgres(url: str) -> Upstream:
    return _unix(f"{conninfo_to_dict(url)['host']}/.s.PGSQL.{_POSTGRES_PORT}")


async def _answers(url: str) -> bool:
    timeout = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            return response.ok
    except (aiohttp.ClientError, TimeoutError):
        return False
