"""A small matrix, as `make storm-matrix` runs the whole: real processes, broken at one point."""

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import msgspec
import pytest

from ops.local.program import CHECKOUT
from ops.storm.matrix.report import Result


async def matrix(state: Path, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.storm.matrix", "--state", str(state), *arguments),
        cwd=CHECKOUT,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode()


def result(text: str) -> Result:
    return msgspec.json.decode(text.splitlines()[-1], type=Result)


@pytest.mark.timeout(180)
async def test_processes_killed_around_commits_and_calls_lose_and_double_nothing(
    tmp_path: Path,
) -> None:
    points = "commit-accept.after,call-refund.after,commit-take-back.before"
    code, text = await matrix(tmp_path, "--points", points, "--actions", "kill9", "--lanes", "2")

    assert code == 0, text
    assert result(text).reached == result(text).cases == 3
    assert result(text).violations == result(text).unreached == result(text).failed == []


@pytest.mark.timeout(180)
async def test_zombie_between_a_call_and_its_record_writes_nothing(tmp_path: Path) -> None:
    """It stands still for two leases, somebody else does its work, and then it wakes."""
    code, text = await matrix(tmp_path, "--points", "call-charge.after", "--actions", "stop")

    assert code == 0, text
    assert result(text).reached == result(text).zombies_overtaken == 1
    log = (tmp_path / "matrix.log").read_text()
    assert log.count("is not held any more: attempt 1 writes nothing") == 1


async def test_unknown_point_is_refused_with_those_there_are(tmp_path: Path) -> None:
    code, text = await matrix(tmp_path, "--points", "call-maul")

    assert code == 1
    assert text.startswith("No point is named call-maul: there are commit-accept,")
