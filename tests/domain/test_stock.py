"""Who gets stock: first come first served, all or nothing, never more than there is."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.ids import new_id
from domain.stock import (
    Allocation,
    Short,
    StockBelowReserved,
    Wanted,
    allocate,
    refuse_level,
    totals,
)

SKUS = st.sampled_from("ABCDE")
WANTED = st.builds(
    Wanted,
    order_id=st.uuids(),
    quantities=st.dictionaries(SKUS, st.integers(1, 9), min_size=1),
)
GROUPS = st.lists(WANTED, max_size=12)
AVAILABLE = st.dictionaries(SKUS, st.integers(0, 20))


def _given(allocations: Sequence[Allocation]) -> Counter[str]:
    return Counter(totals(a.wanted for a in allocations if not a.short))


def _wanted(**quantities: int) -> Wanted:
    return Wanted(new_id(), quantities)


@given(GROUPS, AVAILABLE)
@settings(deadline=None)
def test_never_more_is_given_than_there_is(
    group: list[Wanted], available: Mapping[str, int]
) -> None:
    given_out = _given(allocate(group, available))

    assert all(count <= available.get(sku, 0) for sku, count in given_out.items())


@given(GROUPS, AVAILABLE)
@settings(deadline=None)
def test_order_is_refused_exactly_for_what_is_not_left_at_its_turn(
    group: list[Wanted], available: Mapping[str, int]
) -> None:
    allocations = allocate(group, available)

    for n, allocation in enumerate(allocations):
        before = _given(allocations[:n])
        left = {sku: count - before[sku] for sku, count in available.items()}
        assert allocation.wanted == group[n]
        assert allocation.short == tuple(
            Short(sku, quantity, left.get(sku, 0))
            for sku, quantity in group[n].quantities.items()
            if quantity > left.get(sku, 0)
        )


@given(GROUPS, AVAILABLE, st.integers(0, 12))
@settings(deadline=None)
def test_those_who_come_later_change_nothing_for_those_before(
    group: list[Wanted], available: Mapping[str, int], first: int
) -> None:
    assert allocate(group, available)[:first] == allocate(group[:first], available)


@given(GROUPS, AVAILABLE)
@settings(deadline=None)
def test_what_is_available_is_not_changed(group: list[Wanted], available: dict[str, int]) -> None:
    was = dict(available)

    allocate(group, available)

    assert available == was


def test_order_that_lacks_one_sku_takes_nothing_of_the_others() -> None:
    greedy, modest = _wanted(APPLE=1, PEAR=2), _wanted(APPLE=1)

    first, second = allocate([greedy, modest], {"APPLE": 1, "PEAR": 1})

    assert first.short == (Short("PEAR", wanted=2, available=1),)
    assert second.short == ()


def test_big_order_that_does_not_fit_leaves_its_stock_to_the_next() -> None:
    allocations = allocate([_wanted(APPLE=5), _wanted(APPLE=2), _wanted(APPLE=2)], {"APPLE": 3})

    assert [bool(a.short) for a in allocations] == [True, False, True]


def test_same_order_twice_in_a_group_is_given_twice() -> None:
    twice = _wanted(APPLE=2)

    assert _given(allocate([twice, twice], {"APPLE": 4})) == {"APPLE": 4}
    assert _given(allocate([twice, twice], {"APPLE": 3})) == {"APPLE": 2}


def test_sku_that_is_not_named_has_none() -> None:
    [allocation] = allocate([_wanted(APPLE=1)], {})

    assert allocation.short == (Short("APPLE", wanted=1, available=0),)


def test_totals_sum_by_sku() -> None:
    group = [_wanted(APPLE=1, PEAR=2), _wanted(PEAR=3)]

    assert totals(group) == {"APPLE": 1, "PEAR": 5}


def test_who_takes_too_much_is_told_what_would_be_left_and_what_is_held() -> None:
    with pytest.raises(StockBelowReserved, match="-495 of TEA would be on hand, and orders hold 3"):
        refuse_level("TEA", -495, reserved=3)
