"""Measure Orderflow against the limit of Postgres on this machine: `python -m ops.bench`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ops.bench import report
from ops.bench.course import PHASES, ROUNDS, Course, run
from ops.bench.load import Lost
from ops.local.interrupt import run_until_told
from ops.local.state import DEFAULT_STATE, CannotStart


def main(arguments: Sequence[str]) -> int:
    """Run the phases asked for; 1 if the platform failed, whatever its speed."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench", description=__doc__)
    parser.add_argument(
        "--only", type=_phases, default=PHASES, help="phases, e.g. ab (default: all)"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds, of which medians count")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE / "bench")
    given = parser.parse_args(arguments)
    console = Console()
    course = Course(frozenset[str](given.only), given.rounds, given.state, console.print)
    try:
        values = run_until_told(run(course))
    except (CannotStart, Lost) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if values is None:
        return 130
    console.print(report.table(values))
    sys.stdout.write(report.json(values) + "\n")
    return 0


def _phases(letters: str) -> str:
    if not letters or set(letters) - set(PHASES):
        raise argparse.ArgumentTypeError(f"name some of {PHASES}, see ops/bench/README.md")
    return letters


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
