import re
from pathlib import Path

import msgspec
import pytest

from ops.storm.sabotage.patch import Misfit, Patch, UnknownPatch, chosen, load

ROOT = Path(__file__).parents[4]
PATCHES = load()

A_PATCH = Patch(
    name="anybody-enters",
    guard="only who has a key enters",
    file="door.py",
    old="if key:",
    new="if True:",
    tests=("tests/test_door.py",),
)
AN_ENTRY = """
[{}]
guard = "a guard"
file = "door.py"
old = "if key:"
new = "if True:"
tests = ["tests/test_door.py"]
"""


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_patch_fits_the_code_which_still_compiles_without_the_guard(patch: Patch) -> None:
    changed = patch.applied(ROOT)

    assert changed != (ROOT / patch.file).read_text()
    if patch.file.endswith(".py"):
        assert compile(changed, patch.file, "exec")


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_tests_that_should_notice_a_patch_are_there(patch: Patch) -> None:
    assert patch.tests
    for test in patch.tests:
        file, _, name = test.partition("::")
        defined = re.compile(rf"^(async )?def {name or 'test_'}", re.MULTILINE)
        assert defined.search((ROOT / file).read_text()), test


def test_each_patch_takes_another_guard_away() -> None:
    guards = [patch.guard for patch in PATCHES.values()]

    assert sorted(set(guards)) == sorted(guards)


@pytest.mark.parametrize(
    ("text", "times"), [("if lock:\n", 0), ("if key:\n    if key:\n", 2)], ids=["none", "two"]
)
def test_patch_whose_place_is_not_found_exactly_once_is_a_misfit(
    tmp_path: Path, text: str, times: int
) -> None:
    (tmp_path / "door.py").write_text(text)

    with pytest.raises(Misfit, match=f"anybody-enters: its `old` stands {times} times in door.py"):
        A_PATCH.applied(tmp_path)


def test_patch_of_a_file_that_is_gone_is_a_misfit(tmp_path: Path) -> None:
    with pytest.raises(Misfit, match=r"stands 0 times in door\.py"):
        A_PATCH.applied(tmp_path)


def test_name_that_two_files_give_is_a_misfit(tmp_path: Path) -> None:
    for file in ("one.toml", "two.toml"):
        (tmp_path / file).write_text(AN_ENTRY.format("anybody-enters"))

    with pytest.raises(Misfit, match=r"two\.toml: anybody-enters is another patch already"):
        load(tmp_path)


def test_entry_that_is_misspelt_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(AN_ENTRY.format("anybody-enters") + 'test = "none"\n')

    with pytest.raises(msgspec.ValidationError, match="unknown field `test`"):
        load(tmp_path)


def test_patches_are_chosen_by_name_or_all() -> None:
    first, second, *_ = PATCHES

    assert [patch.name for patch in chosen(f"{second}, {first},{second}")] == [second, first]
    assert [patch.name for patch in chosen("")] == list(PATCHES)


def test_patch_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownPatch, match=r"No patch nonesuch; there are: .*claim-waits"):
        chosen("nonesuch")
