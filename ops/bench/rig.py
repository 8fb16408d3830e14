"""What is measured: real servers with fresh databases, and the platform of the Procfile on them."""

import os
import sys
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import make_url

from ops.bench import books
from ops.bench.usage import Usage, usages
from ops.bench.workload import Lost
from ops.local.child import Say
from ops.local.program import CHECKOUT, Program
from ops.local.servers import Servers, servers
from ops.local.state import CannotStart
from ops.local.supervise import Fleet, run_to_end
from ops.local.up import SANDBOX, platform

LIMIT_DATABASE = "bench_limit"
# The process types whose memory and idle time are ours; the servers' is a matter of their settings.
OURS = ("web", "worker", "clock")
# Who has a key is counted at each request, and never has to wait; who is nobody is not counted.
RATES = {"RATE_AUTHENTICATED": "1000000", "RATE_ANONYMOUS": "0"}
# The worker line, and what it is when the outside is answered inside.
_REAL_WORKER, _BENCH_WORKER = "dramatiq workers.app", "dramatiq ops.bench.worker"
_NO_SANDBOX = "echo ready && exec sleep infinity"


class Ground(msgspec.Struct, frozen=True):
    """Running servers with two equal databases: one for the platform, one for the limit."""

    state: Path
    environ: Mapping[str, str]
    servers: Servers
    limit_url: str
    api_keys: Sequence[str]
    say: Say


class Rig(msgspec.Struct, frozen=True):
    """A running platform."""

    host: str
    port: int
    database_url: str
    limit_url: str
    api_keys: Sequence[str]
    platform: Fleet
    servers: Fleet

    def usages(self) -> dict[str, Usage]:
        """Measure every process type.

        Raises Lost if a process died: what its successor did would be missing.
        """
        for name, child in {**self.platform.children, **self.servers.children}.items():
            if child.deaths:
                raise Lost(f"{name} died during the measurement: see the log.")
        return usages({**self.platform.pids(), **self.servers.pids()})

    async def tidy(self) -> None:
        """Leave nothing of one phase to the next, the limit's database included."""
        await books.tidy((self.database_url, self.limit_url))


@asynccontextmanager
async def ground(state: Path, say: Say) -> AsyncGenerator[Ground]:
    """Start servers of our own, whatever DATABASE_URL and REDIS_URL say. Raises CannotStart."""
    environ = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    async with servers(state / "servers", environ, say=say) as up:
        limit_url = _beside(up.database_url, LIMIT_DATABASE)
        for url in (up.database_url, limit_url):
            await books.renew(url)
            await migrate(environ | {"DATABASE_URL": url}, say)
            await books.seed(url)
        api_keys = await books.enrol(up.database_url)
        environ |= {"DATABASE_URL": up.database_url, "REDIS_URL": up.redis_url}
        # The gateway is asked and answers; that it also tells us of everything is not measured.
        environ |= {"SANDBOX_WEBHOOK_URL": ""}
        environ |= RATES
        yield Ground(state, environ, up, limit_url, api_keys, say)


@asynccontextmanager
async def rig(on: Ground, *, outside: bool) -> AsyncGenerator[Rig]:
    """Start the platform, with the real outside or one inside the worker. Raises CannotStart."""
    lines = (CHECKOUT / "Procfile").read_text()
    if not outside:
        lines = answered_inside(lines)
    sandbox = SANDBOX if outside else _NO_SANDBOX
    state = on.state / "platform"
    async with platform(state, on.environ, lines=lines, sandbox=sandbox, say=on.say) as running:
        at = urlsplit(running.url)
        yield Rig(
            host=at.hostname or "",
            port=at.port or 0,
            database_url=on.servers.database_url,
            limit_url=on.limit_url,
            api_keys=on.api_keys,
            platform=running.fleet,
            servers=on.servers.fleet,
        )


def answered_inside(procfile: str) -> str:
    """Give the worker line the bench's own outside. Raises CannotStart if there is no such line."""
    if _REAL_WORKER not in procfile:
        raise CannotStart(f"The Procfile runs no `{_REAL_WORKER}`: tell ops/bench/rig.py of it.")
    return procfile.replace(_REAL_WORKER, _BENCH_WORKER)


@contextmanager
def frozen(fleet: Fleet) -> Generator[None]:
    """Hold the processes still, so that they take nothing from what else is measured."""
    groups = fleet.pids().values()
    try:
        for group in groups:
            os.killpg(group, SIGSTOP)
        yield
    finally:
        for group in groups:
            os.killpg(group, SIGCONT)


def _beside(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def migrate(env: Mapping[str, str], say: Say) -> None:
    """Bring the database that DATABASE_URL names to the newest schema."""
    argv = (sys.executable, "-m", "alembic", "upgrade", "head")
    await run_to_end(Program(name="release", argv=argv, env=env), say)
