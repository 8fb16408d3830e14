"""A whole storm, as `make storm` runs it."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGINT

import msgspec
import psutil
import pytest

from ops.local.program import CHECKOUT
from ops.storm.report import Result

INTERRUPTED = 130


@asynccontextmanager
async def a_storm(state: Path, *arguments: str) -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.storm", "--state", str(state), *arguments),
        cwd=CHECKOUT,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _ours(state: Path) -> list[str]:
    """Name the processes that were started from the state directory."""
    found: list[str] = []
    for process in psutil.process_iter(["pid", "cmdline", "environ"]):
        command = " ".join(process.info["cmdline"] or ())
        given = " ".join((process.info["environ"] or {}).values())
        if process.info["pid"] != os.getpid() and str(state) in f"{command} {given}":
            found.append(command)
    return found


@pytest.mark.timeout(300)
async def test_storm_of_twenty_seconds_breaks_no_promise(tmp_path: Path) -> None:
    arguments = ("--seconds", "20", "--seed", "719", "--rate", "15")
    async with a_storm(tmp_path, *arguments) as process:
        output, _ = await process.communicate()

    text = output.decode()
    result = msgspec.json.decode(text.splitlines()[-1], type=Result)
    assert result.violations == [], text
    assert process.returncode == 0, text
    assert result.orders > 200
    assert result.settled == result.orders
    assert len(result.faults) > 10


async def test_interrupted_storm_leaves_nothing_running(tmp_path: Path) -> None:
    async with a_storm(tmp_path, "--seconds", "60", "--faults", "stop-worker") as process:
        assert process.stdout is not None
        while not (line := await process.stdout.readline()).startswith(b"Raging"):
            assert line, "it ended before it raged"
        process.send_signal(SIGINT)
        rest, _ = await process.communicate()

    assert process.returncode == INTERRUPTED, rest.decode()
    assert await asyncio.to_thread(_ours, tmp_path) == []


async def test_unknown_fault_is_refused_with_those_there_are(tmp_path: Path) -> None:
    async with a_storm(tmp_path, "--faults", "earthquake") as process:
        output, _ = await process.communicate()

    assert process.returncode == 1
    assert output.startswith(b"No fault is named earthquake: there are kill9-web")
