"""From where an order gets its goods: all from one place, else from as few as possible."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.ids import new_id
from domain.location import Delivery, Location, Preference, Store, pick, ranked

SKUS = st.sampled_from("ABCD")
WANTED = st.dictionaries(SKUS, st.integers(1, 9), min_size=1)
STORES = st.lists(
    st.builds(
        Store,
        st.builds(
            Location,
            st.uuids(),
            st.text("abc", min_size=1, max_size=3),
            st.integers(0, 3),
            st.sampled_from(["DE", "FR", "GB"]),
        ),
        st.dictionaries(SKUS, st.integers(0, 9)),
    ),
    max_size=5,
    unique_by=lambda store: store.location and store.location.id,
)


@given(WANTED, STORES, st.integers(1, 2), st.randoms())
def test_what_is_picked_adds_up_and_is_there_whatever_the_order_of_the_lines(
    wanted: dict[str, int], stores: list[Store], parcels: int, chance: Random
) -> None:
    lines = list(wanted.items())
    chance.shuffle(lines)
    allow_split = parcels > 1

    picked = pick(wanted, stores, allow_split=allow_split)

    assert pick(dict(lines), stores, allow_split=allow_split) == picked
    in_all = Counter[str]()
    for store in stores:
        in_all.update(store.has)
    if picked is None:
        fits = all(in_all[sku] >= quantity for sku, quantity in wanted.items())
        assert not (allow_split and fits)
        return
    got = Counter[str]()
    for store, parts in picked:
        assert parts
        assert all(0 < quantity <= store.has[sku] for sku, quantity in parts.items())
        got.update(parts)
    assert got == wanted
    assert len({id(store) for store, _ in picked}) == len(picked)
    assert allow_split or len(picked) == 1


@given(WANTED, STORES)
def test_an_order_is_split_only_if_no_place_has_all_of_it(
    wanted: dict[str, int], stores: list[Store]
) -> None:
    having = [s for s in stores if all(s.has.get(k, 0) >= n for k, n in wanted.items())]

    picked = pick(wanted, stores, allow_split=True)

    if having:
        assert picked == [(having[0], wanted)]
    else:
        assert picked is None or len(picked) > 1


def _store(
    code: str, priority: int, country: str, postcode: str | None = None, **has: int
) -> Store:
    return Store(Location(new_id(), code, priority, country, postcode), has)


def _codes(stores: Sequence[Store]) -> list[str]:
    return [store.location.code if store.location else "-" for store in stores]


STOCKED = [
    Store(None, {"A": 9}),
    _store("paris", 1, "FR", "75001"),
    _store("berlin", 2, "DE", "10115"),
    _store("leipzig", 3, "DE", "04103"),
    _store("potsdam", 9, "DE", "14467"),
]


@pytest.mark.parametrize(
    ("preference", "to", "codes"),
    [
        (Preference.PRIORITY, Delivery("DE", "14469"), "paris berlin leipzig potsdam -"),
        (Preference.NEAREST, Delivery("DE", "14469"), "potsdam berlin leipzig paris -"),
        (Preference.NEAREST, Delivery("DE", "99999"), "berlin leipzig potsdam paris -"),
        (Preference.NEAREST, Delivery("IT", "00100"), "paris berlin leipzig potsdam -"),
    ],
)
def test_the_best_place_is_that_of_the_least_priority_or_the_nearest(
    preference: Preference, to: Delivery, codes: str
) -> None:
    assert _codes(ranked(STOCKED, to, preference)) == codes.split()


def test_a_postcode_is_compared_without_its_spaces_and_case() -> None:
    stores = [_store("north", 1, "GB", "n1 1aa"), _store("south", 2, "GB", "SW1A 1AA")]

    assert _codes(ranked(stores, Delivery("GB", "sw1a1xx"), Preference.NEAREST)) == [
        "south",
        "north",
    ]


def test_of_several_parcels_the_first_holds_most_and_the_best_place_wins_a_draw() -> None:
    best, full, other = (
        _store("best", 1, "DE", A=1),
        _store("full", 2, "DE", A=3, B=1),
        _store("other", 3, "DE", A=1, B=1),
    )

    picked = pick({"A": 5, "B": 1}, [best, full, other], allow_split=True)

    assert picked == [(full, {"A": 3, "B": 1}), (best, {"A": 1}), (other, {"A": 1})]
