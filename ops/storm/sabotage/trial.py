"""Trials: a copy of the tree, with or without one guard, and what the tests say of it."""

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from time import perf_counter

import msgspec

from ops.storm.sabotage.patch import Patch
from ops.storm.sabotage.witness import Failure

# A test that waits for what will never come gives up by itself within a minute.
TEST_TIMEOUT_S = 90
SUITE_TIMEOUT_S = 600.0

# Of pytest (docs.pytest.org/en/stable/reference/exit-codes.html).
_PASSED, _FAILED = 0, 1


class Unsound(Exception):
    """The tests fail without any patch, so that their failing with one would mean nothing."""


class End(StrEnum):
    KILLED = "killed"  # a test noticed
    SURVIVED = "survived"  # all tests passed
    BROKEN = "broken"  # something failed, and not because a test noticed


class Trial(msgspec.Struct, frozen=True):
    """What became of a patch; `how` names the test that noticed, or what failed instead."""

    patch: Patch
    end: End
    how: str
    seconds: float


class Ran(msgspec.Struct, frozen=True):
    """A run of tests: the exit code of pytest, what failed, and the end of what it wrote."""

    code: int
    failures: Sequence[Failure]
    tail: str


def copy(tree: Path, to: Path) -> Path:
    """Copy what git knows of a tree, as it stands there now."""
    listed = ["git", "-C", str(tree), "ls-files", "-z"]
    names = subprocess.run(listed, check=True, capture_output=True).stdout.decode()  # noqa: S603 - git is asked for names, of a tree of ours
    for name in filter(None, names.split("\0")):
        if (tree / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / name, to / name)
    return to


async def run(tree: Path, tests: Sequence[str], *, first_only: bool) -> Ran:
    """Run tests of a tree by pytest, in a process of its own; `first_only` ends at a failure."""
    witnessed, output = tree / ".witness", tree / ".output"
    options = [f"--timeout={TEST_TIMEOUT_S}", "-p", "no:cacheprovider", "--tb=short", "-q"]
    options += ["-p", "ops.storm.sabotage.witness", "--witness", str(witnessed)]
    command = [sys.executable, "-m", "pytest", *options, *(["-x"] if first_only else []), *tests]
    with output.open("wb") as file:
        async with _process(command, tree, file.fileno()) as process:
            async with asyncio.timeout(SUITE_TIMEOUT_S):
                code = await process.wait()
    lines = witnessed.read_bytes().splitlines() if witnessed.exists() else []
    failures = [msgspec.json.decode(line, type=Failure) for line in lines]
    return Ran(code, failures, "\n".join(output.read_text().splitlines()[-30:]))


@asynccontextmanager
async def _process(
    command: Sequence[str], tree: Path, output: int
) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tree, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            # As Ctrl-C does: it then stops the servers that it has started.
            process.send_signal(signal.SIGINT)
            await process.wait()


async def sound(tree: Path, patches: Sequence[Patch]) -> None:
    """See that the tests of all patches pass as long as every guard stands; raises Unsound."""
    suite = list(dict.fromkeys(test for patch in patches for test in patch.tests))
    ran = await run(tree, suite, first_only=False)
    if ran.code != _PASSED:
        raise Unsound(f"Without any patch pytest ended with {ran.code}:\n{ran.tail}")


async def attempt(tree: Path, patch: Patch) -> Trial:
    """Take a guard away from a copy of a tree, and see whether its tests notice."""
    began = perf_counter()
    with tempfile.TemporaryDirectory(prefix="orderflow-sabotage-") as folder:
        # With what is compiled: the times of the files are kept, so that it still counts.
        changed = Path(shutil.copytree(tree, Path(folder) / "tree"))
        text = patch.applied(tree)
        (changed / patch.file).write_text(text)
        (changed / ".witness").unlink(missing_ok=True)
        ran = await run(changed, patch.tests, first_only=True)
    end, how = judge(patch, ran)
    return Trial(patch, end, how, round(perf_counter() - began, 1))


def judge(patch: Patch, ran: Ran) -> tuple[End, str]:
    """Say what a run says of a patch: only what a test itself asserts is a kill.

    Code that cannot be imported or crashes fails, too, and shows only that the patch is bad.
    """
    if ran.code == _PASSED:
        return End.SURVIVED, "all tests passed"
    noticed = [f for f in ran.failures if f.during == "call" and _counts(patch, f)]
    if ran.code == _FAILED and noticed:
        return End.KILLED, noticed[0].test
    what = [f"{f.error} in the {f.during} of {f.test}: {f.said}" for f in ran.failures]
    return End.BROKEN, what[0] if what else f"pytest ended with {ran.code}: {ran.tail}"


def _counts(patch: Patch, failure: Failure) -> bool:
    return failure.asserted or failure.error == patch.raises


async def attempt_all(
    patches: Sequence[Patch], tree: Path, *, jobs: int, tell: Callable[[str], None]
) -> Sequence[Trial]:
    """Try patches out, `jobs` at the same time; raises Misfit or Unsound before anything else."""
    turns = asyncio.Semaphore(jobs)

    async def one(patch: Patch) -> Trial:
        async with turns:
            trial = await attempt(clean, patch)
        tell(f"{trial.seconds:5.1f} s  {patch.name}: {trial.end}: {trial.how}")
        return trial

    with tempfile.TemporaryDirectory(prefix="orderflow-sabotage-") as folder:
        clean = copy(tree, Path(folder))
        for patch in patches:
            patch.applied(clean)
        tell(f"{len(patches)} patches; first their tests without any of them ...")
        await sound(clean, patches)
        async with asyncio.TaskGroup() as trials:
            tasks = [trials.create_task(one(patch)) for patch in patches]
    return [task.result() for task in tasks]
