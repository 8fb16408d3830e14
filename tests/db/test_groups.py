"""A group in halves: one poisoned member is found, an outage is nobody's fault."""

import math
from collections.abc import Callable, Sequence

import pytest

from db.engine import Busy, Collision, Unavailable
from db.groups import RUNS_MAX, in_halves


class Runs:
    """Runs of groups, which fail as `failure` says of a group and of how many went before it."""

    def __init__(self, failure: Callable[[Sequence[int], int], Exception | None]) -> None:
        self._failure = failure
        self.groups: list[Sequence[int]] = []

    async def run(self, group: Sequence[int]) -> Sequence[str]:
        self.groups.append(group)
        if failure := self._failure(group, len(self.groups)):
            raise failure
        return [f"did {member}" for member in group]


def _poisoned(*members: int) -> Runs:
    return Runs(lambda group, _: ValueError(*members) if set(members) & set(group) else None)


async def test_group_without_fault_is_run_once_and_answers_in_order() -> None:
    runs = _poisoned()

    assert await in_halves([3, 1, 2], runs.run) == ["did 3", "did 1", "did 2"]
    assert runs.groups == [[3, 1, 2]]


@pytest.mark.parametrize("size", [1, 2, 3, 200])
@pytest.mark.parametrize("place", [0, 0.5, 1])
async def test_poisoned_member_is_found_among_many_and_fails_alone(size: int, place: float) -> None:
    poison = round(place * (size - 1))
    runs = _poisoned(poison)

    results = await in_halves(range(size), runs.run)

    failed = [n for n, result in enumerate(results) if isinstance(result, ValueError)]
    assert failed == [poison]
    done = [f"did {n}" for n in range(size) if n != poison]
    assert [result for result in results if isinstance(result, str)] == done
    assert len(runs.groups) <= 1 + 2 * math.ceil(math.log2(size))


async def test_several_poisoned_members_fail_and_all_others_succeed_once() -> None:
    runs = Runs(lambda group, _: ValueError() if {4, 5, 19} & set(group) else None)

    results = await in_halves(range(20), runs.run)

    assert [n for n, r in enumerate(results) if isinstance(r, Exception)] == [4, 5, 19]
    done = [member for group in runs.groups if not {4, 5, 19} & set(group) for member in group]
    assert sorted(done) == [n for n in range(20) if n not in {4, 5, 19}]


async def test_outage_is_raised_at_once_and_blamed_on_nobody() -> None:
    runs = Runs(lambda _, __: Unavailable("away"))

    with pytest.raises(Unavailable):
        await in_halves([1, 2, 3, 4], runs.run)

    assert runs.groups == [[1, 2, 3, 4]]


async def test_outage_while_halving_is_raised() -> None:
    runs = Runs(lambda _, nth: ValueError() if nth == 1 else Unavailable("away"))

    with pytest.raises(Unavailable):
        await in_halves([1, 2], runs.run)

    assert runs.groups == [[1, 2], [1]]


async def test_group_that_collided_is_run_again_whole() -> None:
    runs = Runs(lambda _, nth: Collision("deadlock") if nth < RUNS_MAX else None)

    assert await in_halves([1, 2], runs.run) == ["did 1", "did 2"]
    assert runs.groups == [[1, 2]] * RUNS_MAX


async def test_member_that_collides_for_ever_is_given_up() -> None:
    runs = Runs(lambda _, __: Collision("deadlock"))

    [result] = await in_halves([1], runs.run)

    assert isinstance(result, Collision)
    assert len(runs.groups) == RUNS_MAX


async def test_member_whose_row_is_held_by_others_does_not_hold_up_the_rest() -> None:
    runs = Runs(lambda group, _: Busy("locked") if 2 in group else None)

    first, second, third, fourth = await in_halves([1, 2, 3, 4], runs.run)

    assert (first, third, fourth) == ("did 1", "did 3", "did 4")
    assert isinstance(second, Busy)
    assert runs.groups.count([1, 2, 3, 4]) == 1


async def test_group_of_nobody_is_not_run() -> None:
    runs = Runs(lambda _, __: ValueError())

    assert await in_halves([], runs.run) == []
    assert runs.groups == []
