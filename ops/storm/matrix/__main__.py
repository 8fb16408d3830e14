"""Break every process at every fault point, and see what is left: `python -m ops.storm.matrix`."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
from rich.console import Console

from ops.local.child import ORDERFLOW
from ops.local.interrupt import run_until_told
from ops.local.ports import ports
from ops.local.servers import servers
from ops.local.state import DEFAULT_STATE, CannotStart
from ops.storm.matrix import report
from ops.storm.matrix.lane import Lane, lane, prepare
from ops.storm.matrix.run import Ended, run
from ops.storm.matrix.scene import idle
from ops.storm.matrix.table import Case, UnknownPoint, cases
from ops.telemetry.faultpoint import Action

_INTERRUPTED = 130
# Of the table in a file or in the output of a build.
_WIDTH = 120
# Most of a case is waiting, for leases above all.
_LANES = 6
_LANES_MAX = 14  # Redis has sixteen databases


def main(arguments: Sequence[str]) -> int:
    """Run the matrix; 0 only if every point was reached and no promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m ops.storm.matrix", description=__doc__)
    parser.add_argument("--points", default="all", help="all, or names with commas")
    parser.add_argument("--actions", default="all", help=f"all, or of {','.join(Action)}")
    parser.add_argument("--lanes", type=int, default=_LANES, choices=range(1, _LANES_MAX + 1))
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE / "matrix")
    given = parser.parse_args(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    began = time.monotonic()
    try:
        wanted = cases(_names(given.points), _names(given.actions))
    except UnknownPoint as error:
        sys.stderr.write(f"{error}\n")
        return 1
    console.print(f"{len(wanted)} cases in {given.lanes} lanes. Starting ...")
    try:
        ended = run_until_told(_all(wanted, given.state, given.lanes, console))
    except* CannotStart as several:
        sys.stderr.writelines(f"{error}\n" for error in several.exceptions)
        sys.exit(1)
    if ended is None:
        sys.stderr.write("Interrupted.\n")
        return _INTERRUPTED
    report.show(ended, console)
    result = report.result(ended, time.monotonic() - began)
    sys.stdout.write(f"{msgspec.json.encode(result).decode()}\n")
    return 0 if all(one.passed for one in ended) else 1


def _names(text: str) -> list[str]:
    return [] if text == "all" else [name.strip() for name in text.split(",") if name.strip()]


async def _all(
    wanted: Sequence[Case], folder: Path, lanes: int, console: Console
) -> Sequence[Ended]:
    """Run the cases, each in the first lane that is free. Raises CannotStart."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    waiting, ended, starting = list(reversed(wanted)), list[Ended](), asyncio.Lock()
    async with AsyncExitStack() as stack:
        log = stack.enter_context((folder / "matrix.log").open("w"))

        def say(who: str, name: str, line: str) -> None:
            print(f"{who:6} {name:14} | {line}", file=log, flush=name == ORDERFLOW)

        free = stack.enter_context(ports())
        up = await stack.enter_async_context(servers(folder / "state", {}, durable=False))
        await prepare(up, lambda name, line: say("all", name, line))

        async def work(number: int) -> None:
            def tell(name: str, line: str) -> None:
                say(f"lane-{number}", name, line)

            async with AsyncExitStack() as own:
                # One after the other: all at once, on two cores, none would be there in time.
                async with starting:
                    here = await own.enter_async_context(lane(up, number, free, tell))
                await idle(here)
                while waiting:
                    ended.append(await _told(here, waiting.pop(), console))

        async with asyncio.TaskGroup() as together:
            for number in range(min(lanes, len(wanted))):
                together.create_task(work(number))
    return ended


async def _told(here: Lane, case: Case, console: Console) -> Ended:
    here.say("matrix", f"begins: {case.setting}")
    ended = await run(here, case)
    word = "ok" if ended.passed else "BROKEN" if ended.reached else "UNREACHED"
    console.print(f"{case.setting}: {word}, {ended.seconds:g} s", markup=False)
    here.say("matrix", f"{word}: {case.setting}")
    return ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
