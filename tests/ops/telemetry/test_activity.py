"""What a process says it does: while it does it, the longest first, and never too much."""

from ops.telemetry import activity
from ops.telemetry.activity import TOLD_MAX


def told(stage: str) -> list[str]:
    return [one.what for one in activity.told() if one.stage == stage]


def test_what_is_under_way_is_told_the_longest_first_and_forgotten_at_its_end() -> None:
    with activity.doing("stage", "long"), activity.doing("stage", "short"):
        during = told("stage")

    assert (during, told("stage")) == (["long", "short"], [])


def test_of_many_the_longest_are_told_and_the_others_counted() -> None:
    made = [activity.doing("many", str(n)) for n in range(TOLD_MAX + 5)]
    for one in made:
        one.__enter__()

    during, more = told("many"), told("more")
    for one in made:
        one.__exit__(None, None, None)

    assert during == [str(n) for n in range(TOLD_MAX)]
    assert more == ["5 under way"]


def test_what_is_counted_is_told_while_there_is_any() -> None:
    under_way = [3]
    activity.count_of("counted", lambda: under_way[0])

    busy = told("counted")
    under_way[0] = 0

    assert (busy, told("counted")) == (["3 under way"], [])
