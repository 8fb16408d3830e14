"""What the matrix came to: a table of points and actions, what was broken, and a last line."""

from collections.abc import Sequence

import msgspec
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from db.invariants import Violation
from ops.storm.matrix.run import Ended
from ops.storm.matrix.table import MEANINGLESS
from ops.telemetry.faultpoint import Action


class Result(msgspec.Struct, frozen=True):
    """The last line; `failed` came to rest wrongly or not at all."""

    points: int
    cases: int
    reached: int
    unreached: Sequence[str]
    failed: Sequence[str]
    violations: Sequence[Violation]
    meaningless: int
    zombies_overtaken: int
    seconds: float


def result(ended: Sequence[Ended], seconds: float) -> Result:
    """Sum the cases up."""
    points = {one.case.point for one in ended}
    return Result(
        points=len(points),
        cases=len(ended),
        reached=sum(one.reached for one in ended),
        unreached=sorted(one.case.setting for one in ended if not one.reached),
        failed=sorted(one.case.setting for one in ended if one.left),
        violations=[broken for one in ended for broken in one.violations],
        meaningless=sum(point in points for point, _ in MEANINGLESS),
        zombies_overtaken=sum(one.overtaken > 0 for one in ended if one.case.action is Action.STOP),
        seconds=round(seconds, 1),
    )


def show(ended: Sequence[Ended], console: Console) -> None:
    """Print everything but the last line."""
    table = Table(box=SIMPLE)
    for column in ("point", *Action):
        table.add_column(column, overflow="fold")
    of = {(one.case.point, one.case.action): one for one in ended}
    for point in sorted({point for point, _ in of}):
        table.add_row(point, *(_cell(of.get((point, action)), point, action) for action in Action))
    console.print(table)
    for (point, action), why in MEANINGLESS.items():
        if any(one.case.point == point for one in ended):
            console.print(f"meaningless: {point}:{action}: {why}", markup=False, soft_wrap=True)
    for one in ended:
        broken = [f"{v.invariant}: {v.subject}: {v.detail}" for v in one.violations]
        for text in (*one.left, *broken):
            console.print(f"{one.case.setting}: {text}", markup=False, soft_wrap=True)


def _cell(one: Ended | None, point: str, action: Action) -> str:
    if one is None:
        return "-" if (point, action) in MEANINGLESS else ""
    if not one.reached:
        return "UNREACHED"
    if not one.passed:
        return "BROKEN"
    return f"{one.status or 'ok'}{', overtaken' if one.overtaken else ''}"
