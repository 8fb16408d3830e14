import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ops.local.program import CHECKOUT
from ops.local.staff import admin_api_key
from ops.local.state import CannotStart, Holder, holder
from ops.local.up import platform
from tests.ops.local.hearing import Hearing

# Nothing connects to these; they only keep the embedded servers from being started.
ENV = {"PATH": "/usr/bin:/bin", "DATABASE_URL": "postgresql:///x", "REDIS_URL": "unix:///y"}
SANDBOX = "echo ready; exec sleep 60"
LINES = """
release: echo migrated $DATABASE_URL
admin: echo made $ADMIN_KEY
web: exec python -m http.server $PORT --bind $HOST --directory $SITE
clock: echo gateway $STRIPE_API_BASE; exec sleep 60
"""
# What the issue promises of Ctrl-C.
STOPPED_WITHIN_S = 10.0


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment whose web process is ready because a file of that name is there."""
    (tmp_path / "site" / "health").mkdir(parents=True)
    (tmp_path / "site" / "health" / "ready").touch()
    return ENV | {"SITE": str(tmp_path / "site")}


async def test_platform_runs_every_line_after_the_release(
    env: dict[str, str], tmp_path: Path
) -> None:
    hearing = Hearing()
    async with platform(tmp_path, env, lines=LINES, sandbox=SANDBOX, say=hearing) as running:
        during = holder(tmp_path)
        names = set(running.fleet.pids())

    assert hearing.all_with("REDIS_URL cannot be used now (Error 2 connecting to /y")
    assert hearing.lines[1] == ("release", "migrated postgresql:///x")
    assert ("admin", f"made {admin_api_key(tmp_path)}") in hearing.lines
    assert running.admin_api_key == admin_api_key(tmp_path)
    assert ("clock", f"gateway {running.gateway_url}") in hearing.lines
    assert names == {"web", "clock"}
    assert during == Holder(
        pid=os.getpid(),
        url=running.url,
        inbox_url=running.inbox_url,
        sandbox_dir=running.env["SANDBOX_DIR"],
    )
    assert holder(tmp_path) is None


async def test_failed_release_starts_nothing(env: dict[str, str], tmp_path: Path) -> None:
    hearing = Hearing()
    lines = "release: echo broken; false\nweb: echo started"

    with pytest.raises(CannotStart, match=r"release ended \(exit 1\): broken"):
        async with platform(tmp_path, env, lines=lines, sandbox=SANDBOX, say=hearing):
            pass

    assert hearing.all_with("started") == []


async def test_up_restarts_what_dies_and_stops_in_time_on_ctrl_c(tmp_path: Path) -> None:
    async with up_from(tmp_path) as (up, hearing):
        postmaster = int((tmp_path / "pg18" / "postmaster.pid").read_text().splitlines()[0])

        os.kill(postmaster, signal.SIGKILL)
        await hearing.until("postgres was killed by SIGKILL; starting it again")
        code = await interrupted(up)

    [gateway] = [line.split()[1].rstrip(",") for line in hearing.all_with("  Gateway ")]
    [broken_by] = hearing.all_with("curl -d")
    assert broken_by.rstrip().endswith(f" {gateway}/faults")
    assert code == 0
    assert holder(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the children of a process")
async def test_up_stops_in_time_on_ctrl_c_though_every_process_is_frozen(tmp_path: Path) -> None:
    async with up_from(tmp_path) as (up, _):
        children = children_of(up.pid)

        for child in children:
            os.killpg(child, signal.SIGSTOP)
        code = await interrupted(up)

    assert len(children) == 6
    assert code == 0
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, signal.SIG_DFL)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@asynccontextmanager
async def up_from(
    state: Path,
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, Hearing]]:
    """Run `up` as a user does, until it says that it is up."""
    hearing = Hearing()
    environ = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.local", "up", "--state", str(state)),
        cwd=CHECKOUT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        process_group=0,
    )
    assert up.stdout is not None
    listening = asyncio.create_task(_hear(up.stdout, hearing))
    try:
        await hearing.until("Ctrl-C stops it")
        yield up, hearing
    finally:
        if up.returncode is None:
            up.kill()
        await listening


async def interrupted(up: asyncio.subprocess.Process) -> int:
    """Press Ctrl-C; its exit code, in time."""
    up.send_signal(signal.SIGINT)
    async with asyncio.timeout(STOPPED_WITHIN_S):
        return await up.wait()


async def _hear(stream: asyncio.StreamReader, hearing: Hearing) -> None:
    async for line in stream:
        hearing("up", line.decode())
