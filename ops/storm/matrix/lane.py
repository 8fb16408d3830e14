"""A lane of the matrix: a small platform of its own, on servers that all lanes share."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import aiohttp
import msgspec
from psycopg import sql
from sqlalchemy.engine import make_url

from db.engine import Database, connect
from ops.bench import books
from ops.config import Settings
from ops.local import procfile
from ops.local.child import Say
from ops.local.environment import Addresses, assemble
from ops.local.ports import HOST, Ports
from ops.local.program import CHECKOUT, Program
from ops.local.servers import Servers
from ops.local.staff import hire
from ops.local.supervise import Fleet, run_to_end, supervised
from ops.local.up import SANDBOX
from ops.storm import witness
from ops.storm.history import History
from ops.storm.load import Load
from ops.storm.plan import CURRENCY, PLENTY, prices

LEASE_S = 3.0
SKU = "COMMON-00"
# The platform's own waits, so short that what a lost process held is taken over within seconds.
SETTINGS: Mapping[str, str] = {
    "GATEWAY_TIMEOUT_S": "1",
    "TASK_TIMEOUT_S": "1.5",
    "SHUTDOWN_GRACE_S": "2",
    "LEASE_S": f"{LEASE_S:g}",
    "LOCK_TIMEOUT_S": "1",
    "STATEMENT_TIMEOUT_S": "2",
    "TRANSACTION_TIMEOUT_S": "2.5",
    "IDLE_IN_TRANSACTION_TIMEOUT_S": "3",
    "GATEWAY_WINDOW_S": "28",
    "BREAKER_OPEN_S": "2",
    "DATABASE_POOL_MAX": "3",
    "WORKER_PROCESSES": "1",
    # Everybody comes from one address, and nobody guesses passwords.
    "RATE_LOGIN": "0",
    "RATE_REGISTER": "0",
    "RATE_RESET": "0",
    "SANDBOX_WEBHOOK_URL": "",
}
_RECONCILE = "python -m workers.reconcile --since 2020-01-01T00:00:00Z --gateway stripe"
_TEMPLATE = "matrix_template"
_PORTS_FIRST = 8300
_GRACE_S, _SANDBOX_GRACE_S = 5.0, 1.0
_CLIENT_TIMEOUT_S, _PROBE_TIMEOUT_S = 5.0, 2.0


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """Healthy processes, one of each kind, and room for one that breaks."""

    admin_api_key: str
    env: Mapping[str, str]
    commands: Mapping[str, str]
    fleet: Fleet
    database: Database
    session: aiohttp.ClientSession
    history: History
    stocked: dict[str, int]
    broken_port: int
    say: Say
    known: set[tuple[str, str]]  # violations that were told already

    @property
    def url(self) -> str:
        """Where the healthy web process is."""
        return f"http://{HOST}:{self.env['PORT']}"

    @property
    def broken_url(self) -> str:
        """Where the one that breaks is."""
        return f"http://{HOST}:{self.broken_port}"

    @property
    def sandbox(self) -> Path:
        """Folder of the gateway's ledger and the mails."""
        return Path(self.env["SANDBOX_DIR"])

    def clients(self, *urls: str, token: str = "") -> Load:
        """Give clients that go to these addresses in turn; as staff, unless a token is given."""
        return Load(self.session, urls, token or self.admin_api_key, self.history)

    def hold(self, line: str) -> None:
        """Leave the work of a line to the broken process; to the web one it comes by its port."""
        if line != "web":
            self.freeze(line)

    def freeze(self, line: str) -> None:
        """Have the healthy process of a line stand still."""
        if line in self.fleet.children:
            self.fleet.children[line].signal(SIGSTOP)

    def thaw(self, line: str) -> None:
        """Have it go on."""
        if line in self.fleet.children:
            self.fleet.children[line].signal(SIGCONT)

    def program(self, line: str, env: Mapping[str, str]) -> Program:
        """Say how to run one more process of a line."""
        more = {**self.env, "PORT": str(self.broken_port), **env}
        return procfile.program(f"{line}-broken", self.commands[line], more)


async def prepare(up: Servers, say: Say) -> None:
    """Make the database that those of all lanes are copies of: one product, plenty of it."""
    url = _named(up.database_url, _TEMPLATE)
    await books.renew(url)
    release = Program(
        name="release",
        argv=(sys.executable, "-m", "alembic", "upgrade", "head"),
        env={**os.environ, "DATABASE_URL": url},
    )
    await run_to_end(release, say)
    async with books.opened(url) as connection:
        await witness.call(connection)
        await connection.execute(
            "INSERT INTO variants (sku, name, price_minor, currency) VALUES (%s, 'Tea', %s, %s)",
            (SKU, prices()[SKU], CURRENCY),
        )
        await connection.execute("INSERT INTO stock (sku, on_hand) VALUES (%s, %s)", (SKU, PLENTY))


@asynccontextmanager
async def lane(up: Servers, number: int, free: Ports, say: Say) -> AsyncGenerator[Lane]:
    """Start a lane, and stop it on leaving. Raises CannotStart."""
    folder = up.claim.state / f"lane-{number}"
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    await asyncio.to_thread(folder.mkdir)
    env = _environment(up, number, free, folder)
    await _clone(up.database_url, str(make_url(env["DATABASE_URL"]).database))
    key = await hire(folder, env, say)
    commands = procfile.parse((CHECKOUT / "Procfile").read_text())
    del commands[procfile.RELEASE]
    programs = [procfile.program(line, command, env) for line, command in commands.items()]
    commands["reconcile"] = _RECONCILE
    async with AsyncExitStack() as stack:
        outside = await stack.enter_async_context(
            supervised(
                [procfile.program("sandbox", SANDBOX, env)], say=say, grace_s=_SANDBOX_GRACE_S
            )
        )
        await outside.ready("sandbox", partial(answers, f"{env['STRIPE_API_BASE']}/faults"))
        fleet = await stack.enter_async_context(supervised(programs, say=say, grace_s=_GRACE_S))
        made = Lane(
            admin_api_key=key,
            env=env,
            commands=commands,
            fleet=fleet,
            database=connect(
                Settings(database_url=env["DATABASE_URL"]), name="matrix", ring=lambda _: None
            ),
            session=await stack.enter_async_context(_session()),
            history=History(stack.enter_context((folder / "history.jsonl").open("wb"))),
            stocked={SKU: PLENTY},
            broken_port=free.near(_PORTS_FIRST),
            say=say,
            known=set(),
        )
        stack.push_async_callback(made.database.engine.dispose)
        await fleet.ready("web", partial(answers, f"{made.url}/health/ready"))
        yield made


def _environment(up: Servers, number: int, free: Ports, folder: Path) -> Mapping[str, str]:
    at = Addresses(*(free.near(_PORTS_FIRST) for _ in range(4)))
    base, _, _ = up.redis_url.partition("?")
    # Redis numbers its databases from 0, and has sixteen.
    redis_url = f"{base}?db={number}" if base.startswith("unix:") else f"{base}/{number}"
    environ = {k: v for k, v in os.environ.items() if k not in {"PORT", "FAULTPOINT"}}
    database_url = _named(up.database_url, f"matrix_{number}")
    env = {**assemble(environ, folder, at, database_url, redis_url), **SETTINGS}
    # Nobody scrapes: metrics in files would cost every short-lived process some.
    del env["PROMETHEUS_MULTIPROC_DIR"]
    return env


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def _clone(url: str, name: str) -> None:
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY WAL_LOG")
    async with books.opened(_named(url, "postgres")) as connection:
        await connection.execute(drop.format(sql.Identifier(name)))
        await connection.execute(clone.format(sql.Identifier(name), sql.Identifier(_TEMPLATE)))


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CLIENT_TIMEOUT_S))


async def answers(url: str) -> bool:
    """Tell whether a web process answers."""
    timeout = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            return response.ok
    except (aiohttp.ClientError, TimeoutError):
        return False
