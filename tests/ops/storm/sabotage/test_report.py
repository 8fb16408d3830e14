from io import StringIO

import msgspec
from rich.console import Console

from ops.storm.sabotage import report
from ops.storm.sabotage.patch import Patch
from ops.storm.sabotage.report import Result
from ops.storm.sabotage.trial import End, Trial

PATCH = Patch(
    name="anybody-enters",
    guard="children may not enter",
    file="door.py",
    old="if key:",
    new="if True:",
    tests=("tests/test_door.py",),
)
KILLED = Trial(PATCH, End.KILLED, "tests/test_door.py::test_child_may_not_enter", 1.2)
OTHER = msgspec.structs.replace(PATCH, name="no-door")
SURVIVED = Trial(OTHER, End.SURVIVED, "all tests passed", 2.0)
BROKEN = Trial(msgspec.structs.replace(PATCH, name="no-wall"), End.BROKEN, "NameError", 0.5)


def test_last_line_counts_as_killed_only_what_a_test_noticed() -> None:
    found = report.result([KILLED, SURVIVED, BROKEN, KILLED])

    assert found == Result(patches=4, killed=2, score=0.5, survivors=["no-door", "no-wall"])


def test_table_names_guard_and_suite_and_what_noticed_or_failed() -> None:
    out = StringIO()

    report.show([KILLED, SURVIVED], Console(file=out, width=160))

    assert "children may not enter" in out.getvalue()
    assert "test_child_may_not_enter" in out.getvalue()
    assert "survived: all tests passed" in out.getvalue()
    assert "1 of 2 killed: 50.0%" in out.getvalue()
