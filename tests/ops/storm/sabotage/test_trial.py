"""Trials of a tree with one guard, and what is judged to be a kill."""

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from ops.storm.sabotage import witness
from ops.storm.sabotage.patch import Misfit, Patch
from ops.storm.sabotage.trial import End, Ran, Unsound, attempt_all, copy, judge
from ops.storm.sabotage.witness import Failure

GUARD = "def may_enter(age: int) -> bool:\n    return age >= 18\n"
TESTS = """
from guard import may_enter

def test_adult_may_enter():
    assert may_enter(18)

def test_child_may_not_enter():
    assert not may_enter(17)
"""
NOTICING = "test_guard.py::test_child_may_not_enter"

PATCH = Patch(
    name="anybody-enters",
    guard="children may not enter",
    file="guard.py",
    old="return age >= 18",
    new="return True",
    tests=(NOTICING,),
)
ASSERTED = Failure(NOTICING, "call", asserted=True, error="AssertionError", said="assert not True")
CRASHED = Failure(NOTICING, "call", asserted=False, error="Conflict", said="changed meanwhile")
AFTERWARDS = msgspec.structs.replace(ASSERTED, during="teardown")


def git(tree: Path, *arguments: str) -> None:
    command = ["git", "-C", str(tree), *arguments]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - of a tree of our own


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of its own that git knows, in which the witness stands as in ours."""
    made = tmp_path / "tree"
    beside = made / "ops" / "storm" / "sabotage"
    beside.mkdir(parents=True)
    shutil.copy(witness.__file__, beside)
    (made / "guard.py").write_text(GUARD)
    (made / "test_guard.py").write_text(TESTS)
    git(made, "init", "-q")
    git(made, "add", ".")
    return made


async def test_only_patches_that_a_test_notices_are_killed(tree: Path) -> None:
    told: list[str] = []
    unseen = msgspec.structs.replace(PATCH, name="nobody-enters", new="return False")
    crash = msgspec.structs.replace(PATCH, name="crash", new="return years >= 18")

    trials = await attempt_all([PATCH, unseen, crash], tree, jobs=2, tell=told.append)

    assert [(t.patch.name, t.end) for t in trials] == [
        ("anybody-enters", End.KILLED),
        ("nobody-enters", End.SURVIVED),
        ("crash", End.BROKEN),
    ]
    assert trials[0].how == NOTICING
    assert trials[2].how.startswith(f"NameError in the call of {NOTICING}")
    assert len(told) == 1 + len(trials)
    assert (tree / "guard.py").read_text() == GUARD


async def test_tests_that_fail_by_themselves_prove_nothing(tree: Path) -> None:
    (tree / "guard.py").write_text(GUARD.replace("18", "21"))
    patch = msgspec.structs.replace(PATCH, old="return age >= 21", tests=("test_guard.py",))

    with pytest.raises(Unsound, match=r"(?s)pytest ended with 1.*test_adult_may_enter"):
        await attempt_all([patch], tree, jobs=1, tell=lambda _: None)


async def test_patch_that_does_not_fit_is_told_before_anything_runs(tree: Path) -> None:
    told: list[str] = []
    misfit = msgspec.structs.replace(PATCH, old="return age > 18")

    with pytest.raises(Misfit, match="stands 0 times"):
        await attempt_all([PATCH, misfit], tree, jobs=1, tell=told.append)

    assert told == []


@pytest.mark.parametrize(
    ("ran", "judged"),
    [
        (Ran(0, [], "2 passed"), (End.SURVIVED, "all tests passed")),
        (Ran(1, [ASSERTED], ""), (End.KILLED, NOTICING)),
        (Ran(1, [CRASHED, ASSERTED], ""), (End.KILLED, NOTICING)),
        (Ran(1, [CRASHED], ""), (End.BROKEN, f"Conflict in the call of {NOTICING}: changed mean")),
        (Ran(1, [AFTERWARDS], ""), (End.BROKEN, f"AssertionError in the teardown of {NOTICING}")),
        (Ran(2, [ASSERTED], ""), (End.BROKEN, f"AssertionError in the call of {NOTICING}")),
        (Ran(2, [], "No module named x"), (End.BROKEN, "pytest ended with 2: No module named x")),
        (Ran(4, [], "no test ran"), (End.BROKEN, "pytest ended with 4: no test ran")),
    ],
)
def test_failure_that_is_no_assertion_of_a_test_is_no_kill(
    ran: Ran, judged: tuple[End, str]
) -> None:
    end, how = judge(PATCH, ran)

    assert end is judged[0]
    assert how.startswith(judged[1])


def test_exception_that_a_patch_names_is_a_kill() -> None:
    raising = msgspec.structs.replace(PATCH, raises="Conflict")

    assert judge(raising, Ran(1, [CRASHED], "")) == (End.KILLED, NOTICING)


def test_copy_holds_what_git_knows_as_it_stands_now(tree: Path, tmp_path: Path) -> None:
    (tree / "unknown.py").touch()
    (tree / "test_guard.py").unlink()
    (tree / "guard.py").write_text("changed")

    made = copy(tree, tmp_path / "copy")

    assert (made / "guard.py").read_text() == "changed"
    assert not (made / "unknown.py").exists()
    assert not (made / "test_guard.py").exists()
