from io import StringIO

import msgspec
from rich.console import Console

from db.invariants import Violation
from ops.storm import report
from ops.storm.healing import Healing
from ops.storm.nemesis import Seen
from ops.storm.plan import Strike
from ops.storm.report import Storm
from tests.ops.storm.remains import DEAD, PAID, an_order, evidence

STRUCK = Seen(Strike(1.0, "redis-kill", 0.0, 7), 1.0, 1.2, "killed, came back empty")
MISSED = Seen(Strike(2.0, "deadlock", 4.0, 8), 2.0, 2.1, "server closed", missed=True)
BROKEN = Violation("S2 charged at most once", PAID, "captured by 2 payments")


def a_storm(**changes: object) -> Storm:
    storm = Storm(
        seed=7,
        seconds=20.0,
        seen=[STRUCK, MISSED],
        healing=Healing(3.21),
        looks=12,
        evidence=evidence(),
        violations=[],
    )
    return msgspec.structs.replace(storm, **changes)


def shown(storm: Storm) -> str:
    console = Console(file=StringIO(), width=120)
    report.show(storm, console)
    return console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue] - made above


def test_last_line_counts_the_faults_that_struck_and_the_orders_at_rest() -> None:
    orders = {**evidence().orders, "0199-open": an_order("0199-open", "review", 3)}
    storm = a_storm(evidence=msgspec.structs.replace(evidence(), orders=orders))

    line = msgspec.json.decode(msgspec.json.encode(report.result(storm)))

    assert line == {
        "seed": 7,
        "seconds": 20.0,
        "orders": 3,
        "faults": {"redis-kill": 1},
        "violations": [],
        "healed_s": 3.2,
        "settled": 2,
    }


def test_storm_that_never_came_to_rest_says_what_was_left() -> None:
    storm = a_storm(healing=Healing(None, (f"order {PAID} is reserved",)))

    assert report.result(storm).healed_s is None
    assert report.exit_code(report.result(storm)) == 1
    assert f"not at rest: order {PAID} is reserved" in shown(storm)


def test_storm_is_passed_only_without_violations() -> None:
    assert report.exit_code(report.result(a_storm())) == 0
    assert report.exit_code(report.result(a_storm(violations=[BROKEN]))) == 1


def test_table_tells_what_each_fault_did_and_which_missed() -> None:
    lines = {line.split()[0]: line for line in shown(a_storm()).splitlines() if line.split()}

    assert lines["redis-kill"].split()[1:] == ["1", "killed,", "came", "back", "empty"]
    assert lines["deadlock"].split()[1:3] == ["0", "1"]


def test_violation_is_told_with_the_story_of_its_order_alone() -> None:
    text = shown(a_storm(violations=[BROKEN]))

    story = text.partition(f"The story of {PAID}")[2]
    assert f"{BROKEN.invariant}: {PAID}: {BROKEN.detail}" in text
    assert "place: ok after 0.10 s: 202" in story
    assert "3.50 s  version 3: order_paid, paid a-1" in story
    assert "fault redis-kill, until 1.20 s: killed, came back empty" in story
    assert "attempt a-2: refund of 300 is succeeded" in story
    assert "captured=1000" in story
    assert DEAD not in story


def test_promises_of_later_are_listed_as_such() -> None:
    text = shown(a_storm())

    assert "L3 every event reaches its subscribers" in text
    assert "not applicable: there are no webhooks out yet" in text
