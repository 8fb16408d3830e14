"""Take guards away one by one; does a test notice? `python -m ops.storm.sabotage`."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console

from ops.local.interrupt import run_until_told
from ops.storm.sabotage import report
from ops.storm.sabotage.patch import Misfit, UnknownPatch, chosen
from ops.storm.sabotage.trial import Unsound, attempt_all

_ROOT = Path(__file__).parents[3]
_INTERRUPTED = 130
# Of the table in a file or in the output of a build.
_WIDTH = 160


def main(arguments: Sequence[str]) -> int:
    """Try patches out; 0 only if a test noticed each of them."""
    parser = argparse.ArgumentParser(prog="python -m ops.storm.sabotage", description=__doc__)
    parser.add_argument("--patches", default="", help="names with commas; all, if none is given")
    parser.add_argument(
        "--jobs", type=int, default=1, choices=range(1, 65), metavar="N", help="at the same time"
    )
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    tell = partial(console.print, markup=False, soft_wrap=True)
    try:
        trials = run_until_told(
            attempt_all(chosen(given.patches), _ROOT, jobs=given.jobs, tell=tell)
        )
    except (Misfit, UnknownPatch, Unsound) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if trials is None:
        sys.stderr.write("Interrupted.\n")
        return _INTERRUPTED
    report.show(trials, console)
    result = report.result(trials)
    sys.stdout.write(f"{msgspec.json.encode(result).decode()}\n")
    return 1 if result.survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
