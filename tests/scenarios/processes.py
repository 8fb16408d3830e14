"""Real processes of the Procfile for scenarios: killed, stopped and run again from a test."""

import logging
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from db.engine import Database
from ops.config import Settings
from ops.local.program import Program
from ops.local.supervise import Fleet, supervised
from tests.records import end_leases

log = logging.getLogger(__name__)

DRAMATIQ = ("dramatiq", "tests.scenarios.worker", "--processes", "1", "--threads", "8")
# A consumer that lost its Redis looks for it again after this; Dramatiq's own 3 s are long here.
RESTART_DELAY_MS = "200"


class Surroundings(msgspec.Struct, frozen=True):
    """Where processes find the database, the broker and the outside, and where they are found."""

    settings: Settings
    outside: Path
    web: Path

    def environ(self) -> dict[str, str]:
        given = msgspec.to_builtins(self.settings)
        return {
            **os.environ,
            **{name.upper(): str(value) for name, value in given.items() if value != ""},
            "OUTSIDE_SOCKET": str(self.outside),
            "dramatiq_restart_delay": RESTART_DELAY_MS,
        }


def program(name: str, surroundings: Surroundings) -> Program:
    """Say how to run a process: `web`, `clock`, or a `worker` such as `worker-2`."""
    grace_ms = str(round(surroundings.settings.shutdown_grace_s * 1000))
    commands: Mapping[str, tuple[str, ...]] = {
        "web": ("uvicorn", "api.app:app", "--uds", str(surroundings.web), "--no-access-log"),
        "worker": (*DRAMATIQ, "--worker-shutdown-timeout", grace_ms),
        "clock": ("workers.clock",),
    }
    argv = (sys.executable, "-m", *commands[name.partition("-")[0]])
    return Program(name=name, argv=argv, env=surroundings.environ())


@asynccontextmanager
async def running(surroundings: Surroundings, *names: str) -> AsyncGenerator[Fleet]:
    """Run processes while inside, each again when it dies; at the end they are killed."""
    programs = [program(name, surroundings) for name in names]
    async with supervised(programs, say=said, grace_s=0.01) as fleet:
        yield fleet


async def lose(fleet: Fleet, name: str, database: Database) -> None:
    """Kill a worker, and let the time pass for which it holds its work."""
    await fleet.kill(name)
    await end_leases(database)


def said(name: str, line: str) -> None:
    """Keep what processes say for pytest to show should the test fail."""
    log.warning("%s: %s", name, line)
