"""Names are misspelt as people do it: one word at a time, and never beyond recognition."""

import random
from pathlib import Path

import pytest
from rapidfuzz.distance import OSA

from ops.bench.goods import products
from ops.bench.recall import KINDS, misspelt, names_of

SLIPS = {"as it is": 0, "two slips in a long word": 2, "last letters missing": 2}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_one_word_is_misspelt_by_as_many_slips_as_the_kind_says(kind: str) -> None:
    dice = random.Random(1)  # noqa: S311
    name = "WHITE HANGING HEART HOLDER OF GLASS"

    drawn = [misspelt(name, kind, dice) for _ in range(50)]

    for text in drawn:
        assert text is not None
        words = list(zip(text.split(), name.lower().split(), strict=False))
        assert len(words) == 4
        changed = [OSA.distance(one, other) for one, other in words if one != other]
        assert len(changed) <= 1
        assert sum(changed) <= SLIPS.get(kind, 1)
    assert misspelt("A B", "one slip", dice) is None


def test_names_are_read_from_a_list_and_from_a_column(tmp_path: Path) -> None:
    plain, table = tmp_path / "names.txt", tmp_path / "names.csv"
    plain.write_text("RED  LANTERN\nRED LANTERN\nlost?\n")
    table.write_text("Code,Description\n1,RED LANTERN\n2,\n3,12 WHITE CUPS\n")

    assert names_of(plain) == ["RED LANTERN"]
    assert names_of(table) == ["RED LANTERN", "12 WHITE CUPS"]


def test_the_same_seed_makes_the_same_products() -> None:
    assert list(products(20)) == list(products(20)) != list(products(20, seed=2))
