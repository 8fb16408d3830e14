"""What the trials came to: a table of the guards, and a last line."""

from collections.abc import Sequence
from pathlib import PurePath

import msgspec
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ops.storm.sabotage.trial import End, Trial


class Result(msgspec.Struct, frozen=True):
    """The last line; `score` is the share of patches that a test noticed."""

    patches: int
    killed: int
    score: float
    survivors: Sequence[str]


def result(trials: Sequence[Trial]) -> Result:
    """Sum trials up; whatever was not killed by a test counts as a survivor."""
    survivors = [trial.patch.name for trial in trials if trial.end is not End.KILLED]
    killed = len(trials) - len(survivors)
    return Result(len(trials), killed, round(killed / len(trials), 4), survivors)


def show(trials: Sequence[Trial], console: Console) -> None:
    """Print everything but the last line."""
    table = Table(box=SIMPLE)
    for column in ("patch", "guard", "suite", "killed by", "s"):
        table.add_column(column, overflow="fold")
    for trial in trials:
        files = dict.fromkeys(PurePath(test.partition("::")[0]).name for test in trial.patch.tests)
        killed = trial.end is End.KILLED
        how = trial.how.partition("::")[2] if killed else f"{trial.end}: {trial.how}"
        suite = ", ".join(files)
        # A test's parameters may look like markup.
        cells = (trial.patch.name, trial.patch.guard, suite, how, f"{trial.seconds:.1f}")
        table.add_row(*map(escape, cells))
    console.print(table)
    found = result(trials)
    console.print(f"{found.killed} of {found.patches} killed: {found.score:.1%}", markup=False)
