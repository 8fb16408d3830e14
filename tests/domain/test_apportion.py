"""An amount that is split adds up again, and nobody's part depends on who stands first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.apportion import apportion

NAMES = st.text("ABCDEF", min_size=1, max_size=3)
WEIGHTS = st.dictionaries(NAMES, st.integers(0, 10**12), min_size=1, max_size=12)


@given(st.data(), WEIGHTS)
def test_parts_add_up_and_none_is_over_its_weight_or_a_unit_from_its_share(
    data: st.DataObject, weights: dict[str, int]
) -> None:
    whole = sum(weights.values())
    amount = data.draw(st.integers(0, whole))

    parts = apportion(amount, weights)

    assert parts.keys() == weights.keys()
    assert sum(parts.values()) == amount
    for name, part in parts.items():
        assert 0 <= part <= weights[name]
        assert abs(part * whole - amount * weights[name]) < max(whole, 1)


@given(st.data(), WEIGHTS)
def test_order_of_parts_is_irrelevant(data: st.DataObject, weights: dict[str, int]) -> None:
    amount = data.draw(st.integers(0, sum(weights.values())))
    shuffled = dict(data.draw(st.permutations(list(weights.items()))))

    assert apportion(amount, weights) == apportion(amount, shuffled)


def test_largest_remainders_get_what_rounding_left_and_the_smaller_name_of_equal_ones() -> None:
    assert apportion(100, {"A": 1, "B": 1, "C": 1}) == {"A": 34, "B": 33, "C": 33}
    assert apportion(7, {"A": 10, "B": 60, "C": 30}) == {"A": 1, "B": 4, "C": 2}


@pytest.mark.parametrize(
    ("amount", "weights"), [(-1, {"A": 1}), (1, {"A": -1, "B": 3}), (1, {"A": 0}), (1, {})]
)
def test_what_cannot_be_split_is_refused(amount: int, weights: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"negative|nothing to split"):
        _ = apportion(amount, weights)
