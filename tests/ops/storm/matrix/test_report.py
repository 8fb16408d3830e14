"""What the matrix says of its cases, the good ones and the others."""

from io import StringIO

from rich.console import Console

from db.invariants import Violation
from ops.storm.matrix import report
from ops.storm.matrix.run import Ended
from ops.storm.matrix.table import Case
from ops.telemetry.faultpoint import Action, Call, Side

BROKEN = Violation("S2 charged at most once", "0199", "captured by 2 payments")


def a_case(action: Action, side: Side = Side.AFTER) -> Case:
    return Case(Call.CHARGE, side, action)


GOOD = Ended(case=a_case(Action.KILL9), reached=True, status="paid")
ZOMBIE = Ended(case=a_case(Action.STOP), reached=True, status="paid", overtaken=1)
MISSED = Ended(case=a_case(Action.RAISE), status="paid")
RESTLESS = Ended(case=a_case(Action.DROP), reached=True, left=["order 0199 is placed"])
DOUBLED = Ended(case=a_case(Action.DROP, Side.BEFORE), reached=True, violations=[BROKEN])


def shown(*ended: Ended) -> str:
    console = Console(file=StringIO(), width=120)
    report.show(ended, console)
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue] - made above


def test_last_line_counts_what_was_reached_and_names_what_was_not() -> None:
    summed = report.result([GOOD, ZOMBIE, MISSED, RESTLESS, DOUBLED], 12.34)

    assert (summed.points, summed.cases, summed.reached) == (2, 5, 4)
    assert summed.unreached == ["call-charge.after:1:raise"]
    assert summed.failed == ["call-charge.after:1:drop"]
    assert summed.violations == [BROKEN]
    assert summed.zombies_overtaken == 1
    assert summed.seconds == 12.3


def test_case_passes_only_if_it_was_reached_came_to_rest_and_broke_nothing() -> None:
    every = [GOOD, ZOMBIE, MISSED, RESTLESS, DOUBLED]

    assert [one.passed for one in every] == [True, True, False, False, False]


def test_table_tells_ends_and_zombies_and_below_it_is_what_went_wrong() -> None:
    text = shown(GOOD, ZOMBIE, MISSED, RESTLESS, DOUBLED)

    [row] = [line.split() for line in text.splitlines() if " call-charge.after " in line]
    assert row == ["call-charge.after", "paid", "UNREACHED", "BROKEN", "paid,", "overtaken"]
    assert "call-charge.after:1:drop: order 0199 is placed" in text
    assert "call-charge.before:1:drop: S2 charged at most once: 0199: captured by 2" in text


def test_what_means_nothing_is_said_with_its_reason() -> None:
    text = shown(Ended(case=Case(Call.WEBHOOK_ANSWER, Side.AFTER, Action.KILL9), reached=True))

    assert "meaningless: call-webhook-answer.after:drop: an answer of ours" in text
