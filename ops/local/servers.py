"""The servers of one machine: embedded ones, unless the environment names others."""

import os
import shutil
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from io import FileIO
from pathlib import Path

import msgspec
from anyio.from_thread import start_blocking_portal

from ops.local import postgres, valkey
from ops.local.child import ORDERFLOW, Say
from ops.local.console import console
from ops.local.server import Server
from ops.local.state import Claim, claimed
from ops.local.supervise import Fleet, supervised

# Postgres then stops without a checkpoint, as in a crash, which costs the next start a moment.
STOP_GRACE_S = 1.5
# One generation is kept besides, so that what led to a restart can still be read.
_LOG_MAX_BYTES = 8 * 1024 * 1024


class Servers(msgspec.Struct, frozen=True):
    """Where the servers are, the fleet of those we run, and the claim on the state directory."""

    database_url: str
    redis_url: str
    fleet: Fleet
    claim: Claim


@asynccontextmanager
async def servers(
    state: Path, environ: Mapping[str, str], *, durable: bool = True, say: Say | None = None
) -> AsyncGenerator[Servers]:
    """Serve Postgres and Valkey from the state directory, or use DATABASE_URL and REDIS_URL.

    Not durable ones are for tests: a crash of the machine may lose what they hold. Raises
    CannotStart.
    """
    with claimed(state) as claim, ExitStack() as left:
        state = claim.state
        embedded: list[Server] = []
        if not (database_url := environ.get("DATABASE_URL", "")):
            embedded.append(await postgres.server(state, environ, durable=durable))
            database_url = embedded[-1].url
        if not (redis_url := environ.get("REDIS_URL", "")):
            embedded.append(await valkey.server(state, environ, durable=durable))
            redis_url = embedded[-1].url
        file = _filing(state, [server.program.name for server in embedded], left, say or console())
        programs = [server.program for server in embedded]
        for server in embedded:
            left.callback(shutil.rmtree, server.sockets, ignore_errors=True)
        async with supervised(programs, say=file, grace_s=STOP_GRACE_S) as fleet:
            for server in embedded:
                await fleet.ready(server.program.name, partial(server.answers, server.url))
            yield Servers(database_url, redis_url, fleet, claim)


@contextmanager
def blocking_servers(
    state: Path, environ: Mapping[str, str], *, durable: bool = True
) -> Generator[Servers]:
    """Serve them from a thread of their own, for callers without an event loop."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(servers(state, environ, durable=durable)) as running,
    ):
        yield running


def _filing(state: Path, names: list[str], logs: ExitStack, say: Say) -> Say:
    """Put what the servers write into a log each; what concerns the user goes to him."""
    files = {name: logs.enter_context(_log(state / f"{name}.log")) for name in names}

    def file(name: str, line: str) -> None:
        if name == ORDERFLOW:
            say(name, line)
            return
        try:
            files[name].write(f"{line}\n".encode())
        except OSError:
            # A full disk must not end what still works, least of all the report of it.
            say(name, line)

    return file


def _log(path: Path) -> FileIO:
    """Open the log for its owner alone, as statements in it may carry customers' data."""
    if path.exists() and path.stat().st_size > _LOG_MAX_BYTES:
        path.rename(path.with_suffix(".log.1"))
    return FileIO(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a")
