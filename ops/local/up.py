"""The whole platform on one machine: servers, sandbox and every line of the Procfile."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from ops.local import given, procfile
from ops.local.child import Say
from ops.local.console import console
from ops.local.environment import addresses, assemble
from ops.local.interrupt import run_until_told
from ops.local.ports import HOST, ports
from ops.local.program import CHECKOUT
from ops.local.servers import Servers, servers
from ops.local.staff import EMAIL, HIRE, admin_password, hire
from ops.local.state import DEFAULT_STATE, Holder
from ops.local.supervise import Fleet, run_to_end, supervised

# The lines, the sandbox and the servers stop one after the other: 4 + 1 + 1.5 s, and 1 s more for
# a Postgres that only SIGKILL ends. On a busy machine too all is then stopped within 10 s.
_LINES_GRACE_S = 4.0
_SANDBOX_GRACE_S = 1.0
_PROBE_TIMEOUT_S = 2.0
SANDBOX = "python -m ops.sandbox"


class Running(msgspec.Struct, frozen=True):
    """A platform that is ready."""

    state: Path
    url: str
    inbox_url: str
    gateway_url: str
    admin_api_key: str
    # What its processes were given: DATABASE_URL and the rest.
    env: Mapping[str, str]
    # The lines of the Procfile, and the embedded servers.
    fleet: Fleet
    servers: Servers


@asynccontextmanager
async def platform(
    state: Path,
    environ: Mapping[str, str],
    *,
    lines: str | None = None,
    sandbox: str = SANDBOX,
    say: Say | None = None,
) -> AsyncGenerator[Running]:
    """Start everything, and yield once the web process is ready; stop everything on leaving.

    `lines` stands for the text of the Procfile, `sandbox` for the command that is the outside and
    says `ready`. A line `admin` makes the admin in place of the bootstrap. Raises CannotStart.
    """
    commands = procfile.parse(lines or (CHECKOUT / "Procfile").read_text())
    say = say or console()
    with ports() as free:
        at = addresses(free, environ)
        await given.check(environ, say)
        async with servers(state, environ, say=say) as up:
            env = assemble(environ, up.claim.state, at, up.database_url, up.redis_url)
            key = await _prepare(commands, up.claim.state, env, say)
            programs = [procfile.program(name, line, env) for name, line in commands.items()]
            async with (
                _outside(sandbox, env, say),
                supervised(programs, say=say, grace_s=_LINES_GRACE_S) as fleet,
            ):
                running = Running(
                    state=up.claim.state,
                    url=f"http://{HOST}:{at.web}",
                    inbox_url=f"http://{HOST}:{at.inbox}",
                    gateway_url=f"http://{HOST}:{at.gateway}",
                    admin_api_key=key,
                    env=env,
                    fleet=fleet,
                    servers=up,
                )
                if "web" in commands:
                    await _ready(running)
                up.claim.tell(_holder(running, environ))
                yield running


async def _prepare(commands: dict[str, str], state: Path, env: Mapping[str, str], say: Say) -> str:
    """Run the lines that come before all others, and take them out; returns the admin's key."""
    if release := commands.pop(procfile.RELEASE, ""):
        await run_to_end(procfile.program(procfile.RELEASE, release, env), say)
    return await hire(state, env, say, command=commands.pop("admin", HIRE))


def _holder(running: Running, environ: Mapping[str, str]) -> Holder:
    return Holder(
        pid=os.getpid(),
        url=running.url,
        inbox_url=running.inbox_url,
        sandbox_dir=running.env["SANDBOX_DIR"],
        database_url="" if environ.get("DATABASE_URL") else running.servers.database_url,
    )


def main(arguments: list[str]) -> int:
    """Run `up`: everything, until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m ops.local up", description=__doc__)
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE, help="folder of all state")
    state: Path = parser.parse_args(arguments).state
    run_until_told(_up(state))
    return 0


async def _up(state: Path) -> None:
    async with platform(state, os.environ) as running:
        sys.stdout.write(_welcome(running))
        sys.stdout.flush()
        await asyncio.Event().wait()


def _welcome(running: Running) -> str:
    gateway, fault = running.gateway_url, '{"fault": "down", "seconds": 30}'
    return (
        "\nOrderflow is up; Ctrl-C stops it.\n\n"
        f"  Dashboard   {running.url}/ops\n"
        f"              {EMAIL} with {admin_password(running.state)}\n"
        f"  API         {running.url}/v1\n"
        f"  API docs    {running.url}/docs\n"
        f"  Mail inbox  {running.inbox_url}\n"
        f"  Gateway     {gateway}, a sandbox; break it for half a minute with\n"
        f"              curl -d '{fault}' {gateway}/faults\n"
        f"  Admin key   {running.admin_api_key}\n\n"
    )


@asynccontextmanager
async def _outside(command: str, env: Mapping[str, str], say: Say) -> AsyncGenerator[None]:
    """Run the stand-ins for the outside, which say `ready` when they listen."""
    listening = asyncio.Event()

    def hear(name: str, line: str) -> None:
        if name == "sandbox" and line.strip() == "ready":
            listening.set()
        else:
            say(name, line)

    async def listens() -> bool:
        return listening.is_set()

    program = procfile.program("sandbox", command, env)
    async with supervised([program], say=hear, grace_s=_SANDBOX_GRACE_S) as fleet:
        await fleet.ready(program.name, listens)
        yield


async def _ready(running: Running) -> None:
    timeout = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def answers() -> bool:
            try:
                async with session.get(f"{running.url}/health/ready") as response:
                    return response.ok
            except (aiohttp.ClientError, TimeoutError):
                return False

        await running.fleet.ready("web", answers)
