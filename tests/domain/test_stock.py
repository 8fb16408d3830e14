"""Who gets stock: first come first served, all or nothing, never more than there is."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.ids import new_id
from domain.location import Delivery, Location
from domain.stock import (
    Allocation,
    Places,
    Short,
    StockBelowReserved,
    Supply,
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
AVAILABLE = st.dictionaries(SKUS, st.integers(0, 20).map(Supply))


def _given(allocations: Sequence[Allocation]) -> Counter[str]:
    return Counter(totals(a.wanted for a in allocations if a.is_given))


def _wanted(**quantities: int) -> Wanted:
    return Wanted(new_id(), quantities)


@given(GROUPS, AVAILABLE)
@settings(deadline=None)
def test_never_more_is_given_than_there_is(
    group: list[Wanted], available: Mapping[str, Supply]
) -> None:
    given_out = _given(allocate(group, available))

    assert all(count <= available.get(sku, Supply(0)).available for sku, count in given_out.items())


@given(GROUPS, AVAILABLE)
@settings(deadline=None)
def test_order_is_refused_exactly_for_what_is_not_left_at_its_turn(
    group: list[Wanted], available: Mapping[str, Supply]
) -> None:
    allocations = allocate(group, available)

    for n, allocation in enumerate(allocations):
        before = _given(allocations[:n])
        left = {sku: s.available - before[sku] for sku, s in available.items()}
        assert allocation.wanted == group[n]
        assert allocation.short == tuple(
            Short(sku, quantity, left.get(sku, 0))
            for sku, quantity in group[n].quantities.items()
            if quantity > left.get(sku, 0)
        )


@given(GROUPS, AVAILABLE, st.integers(0, 12))
@settings(deadline=None)
def test_those_who_come_later_change_nothing_for_those_before(
    group: list[Wanted], available: Mapping[str, Supply], first: int
) -> None:
    assert allocate(group, available)[:first] == allocate(group[:first], available)


@given(GROUPS, AVAILABLE)
@settings(deadline=None)
def test_what_is_available_is_not_changed(
    group: list[Wanted], available: dict[str, Supply]
) -> None:
    was = dict(available)

    allocate(group, available)

    assert available == was


def test_order_that_lacks_one_sku_takes_nothing_of_the_others() -> None:
    greedy, modest = _wanted(APPLE=1, PEAR=2), _wanted(APPLE=1)

    first, second = allocate([greedy, modest], {"APPLE": Supply(1), "PEAR": Supply(1)})

    assert first.short == (Short("PEAR", wanted=2, available=1),)
    assert second.short == ()


def test_big_order_that_does_not_fit_leaves_its_stock_to_the_next() -> None:
    allocations = allocate(
        [_wanted(APPLE=5), _wanted(APPLE=2), _wanted(APPLE=2)], {"APPLE": Supply(3)}
    )

    assert [bool(a.short) for a in allocations] == [True, False, True]


def test_same_order_twice_in_a_group_is_given_twice() -> None:
    twice = _wanted(APPLE=2)

    assert _given(allocate([twice, twice], {"APPLE": Supply(4)})) == {"APPLE": 4}
    assert _given(allocate([twice, twice], {"APPLE": Supply(3)})) == {"APPLE": 2}


def test_sku_that_is_not_named_has_none() -> None:
    [allocation] = allocate([_wanted(APPLE=1)], {})

    assert allocation.short == (Short("APPLE", wanted=1, available=0),)


def test_totals_sum_by_sku() -> None:
    group = [_wanted(APPLE=1, PEAR=2), _wanted(PEAR=3)]

    assert totals(group) == {"APPLE": 1, "PEAR": 5}


def test_who_takes_too_much_is_told_what_would_be_left_and_what_is_held() -> None:
    with pytest.raises(StockBelowReserved, match="-495 of TEA would be on hand, and orders hold 3"):
        refuse_level("TEA", -495, reserved=3)


SUPPLIES = st.dictionaries(
    SKUS, st.builds(Supply, st.integers(0, 20), st.integers(0, 5), st.integers(0, 9))
)


@given(GROUPS, SUPPLIES)
@settings(deadline=None)
def test_never_more_is_promised_beyond_what_there_is_than_may_be(
    group: list[Wanted], supplies: Mapping[str, Supply]
) -> None:
    decided = allocate(group, supplies)

    taken = Counter(totals(a.wanted for a in decided if a.is_given))
    promised = Counter(totals(a.wanted for a in decided if a.waits))
    for sku, supply in supplies.items():
        free = supply.available - supply.promised - taken[sku] - promised[sku]
        assert free >= -supply.backorder_max or not promised[sku]
        # What orders that wait are promised is never given to new ones.
        assert not taken[sku] or taken[sku] <= supply.available - supply.promised


def test_what_is_promised_to_one_order_of_a_group_is_not_promised_to_the_next() -> None:
    supply = Supply(available=1, backorder_max=5)

    decided = allocate([_wanted(APPLE=3), _wanted(APPLE=4), _wanted(APPLE=3)], {"APPLE": supply})

    assert [one.waits for one in decided] == [True, False, True]


def test_order_that_waits_gets_its_stock_once_there_is_enough_for_older_ones_too() -> None:
    supply = Supply(available=5, promised=6)
    first, second = _wanted(APPLE=3), _wanted(APPLE=3)
    behind = [
        msgspec.structs.replace(first, ahead={"APPLE": 0}),
        msgspec.structs.replace(second, ahead={"APPLE": 3}),
    ]

    filled, waits = allocate(behind, {"APPLE": supply})

    assert filled.is_given
    assert waits.waits
    assert waits.short == (Short("APPLE", wanted=3, available=2),)


HERE, THERE = Location(new_id(), "here", 1, "GB"), Location(new_id(), "there", 2, "GB")
APART = Supply(available=4, located=True)


@pytest.mark.parametrize(
    ("parcels", "backorder_max", "outcome"),
    [
        (2, 0, ("given", 2)),
        (1, 0, ("scattered", 0)),
        (1, 1, ("waits", 0)),
    ],
)
def test_order_that_no_single_location_has_is_split_or_waits_or_ends(
    parcels: int, backorder_max: int, outcome: tuple[str, int]
) -> None:
    wanted = _wanted(APPLE=4)
    held = {HERE: {"APPLE": 2}, THERE: {"APPLE": 2}}
    to = Delivery("GB", "N1 1AA", allow_split=parcels > 1)
    supply = msgspec.structs.replace(APART, backorder_max=backorder_max)

    [found] = allocate([wanted], {"APPLE": supply}, Places(held, {wanted.order_id: to}))

    said = "given" if found.is_given else "waits" if found.waits else "scattered"
    assert (said, len(found.parts)) == outcome
    assert found.short == ()


HELD = st.fixed_dictionaries({}, optional={sku: st.integers(0, 9) for sku in "ABCDE"})


@given(GROUPS, HELD, HELD, HELD, st.integers(1, 2))
@settings(deadline=None)
def test_parts_add_up_and_no_location_gives_more_than_it_has(
    group: list[Wanted],
    here: dict[str, int],
    there: dict[str, int],
    nowhere: dict[str, int],
    parcels: int,
) -> None:
    in_all = Counter(here) + Counter(there) + Counter(nowhere)
    supplies = {sku: Supply(in_all[sku], located=True) for sku in "ABCDE"}
    to = Delivery("GB", "N1 1AA", allow_split=parcels > 1)
    places = Places({HERE: here, THERE: there}, {w.order_id: to for w in group})

    decided = allocate(group, supplies, places)

    given_at: dict[object, Counter[str]] = {HERE.id: Counter(), THERE.id: Counter()}
    rest = Counter[str]()
    for one in decided:
        assert one.is_given or not one.parts
        if one.is_given:
            parts = Counter[str]()
            for part in one.parts:
                given_at[part.location_id][part.sku] += part.quantity
                parts[part.sku] += part.quantity
            assert parts <= Counter(one.wanted.quantities)
            rest += Counter(one.wanted.quantities) - parts
            assert parcels > 1 or len({part.location_id for part in one.parts}) <= 1
    assert given_at[HERE.id] <= Counter(here)
    assert given_at[THERE.id] <= Counter(there)
    assert rest <= Counter(nowhere)
