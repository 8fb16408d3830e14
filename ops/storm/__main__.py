"""Break the platform on purpose, and see whether its promises hold: `python -m ops.storm`."""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from ops.local.interrupt import run_until_told
from ops.local.state import DEFAULT_STATE, CannotStart
from ops.storm import report
from ops.storm.faults.table import UnknownFault, chosen
from ops.storm.plan import RATE
from ops.storm.storm import Orders, run

_INTERRUPTED = 130
_SEEDS = 100_000


def main(arguments: Sequence[str]) -> int:
    """Run a storm; 0 only if it healed and no promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m ops.storm", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load and faults")
    parser.add_argument("--seed", type=_seed, help="decides everything; any, if none is given")
    parser.add_argument("--faults", default="all", help="all, none, or names with commas")
    parser.add_argument("--rate", type=float, default=RATE, help="orders a second")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE / "storm")
    given = parser.parse_args(arguments)
    seed: int = secrets.randbelow(_SEEDS) if given.seed is None else given.seed
    console = Console(highlight=False)
    try:
        wanted = Orders(seed, given.seconds, chosen(given.faults), given.state, given.rate)
        storm = run_until_told(run(wanted, console))
    except (CannotStart, UnknownFault) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if storm is None:
        sys.stderr.write("Interrupted.\n")
        return _INTERRUPTED
    report.show(storm, console)
    result = report.result(storm)
    sys.stdout.write(f"{msgspec.json.encode(result).decode()}\n")
    return report.exit_code(result)


def _seed(text: str) -> int | None:
    """Read SEED, which make gives empty where the user gave none."""
    return int(text) if text else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
