"""The rig: the worker line with the bench's outside, and processes held still."""

import asyncio
import os
import sys

import pytest

from ops.bench.rig import answered_inside, frozen
from ops.local.procfile import parse
from ops.local.program import CHECKOUT, Program
from ops.local.state import CannotStart
from ops.local.supervise import supervised

SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")


def test_only_the_worker_line_changes() -> None:
    procfile = (CHECKOUT / "Procfile").read_text()

    real, inside = parse(procfile), parse(answered_inside(procfile))

    assert inside.pop("worker").startswith("dramatiq ops.bench.worker --")
    assert real.pop("worker").startswith("dramatiq workers.app --")
    assert inside == real


def test_procfile_without_the_known_worker_line_is_refused() -> None:
    with pytest.raises(CannotStart, match=r"dramatiq workers\.app"):
        answered_inside("worker: celery -A app worker\n")


async def test_frozen_processes_are_stopped_and_go_on_afterwards() -> None:
    sleeper = Program(name="web", argv=SLEEPER, env={})
    async with supervised([sleeper], say=lambda *_: None) as fleet:
        pid = await fleet.children["web"].running()

        with frozen(fleet):
            await came_to(os.WSTOPPED, pid)

        await came_to(os.WCONTINUED, pid)


async def came_to(state: int, pid: int) -> None:
    async with asyncio.timeout(10):
        await asyncio.to_thread(os.waitid, os.P_PID, pid, state | os.WNOWAIT)
