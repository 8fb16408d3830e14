"""What an order costs: its parts are its whole, to the minor unit, in any order of lines."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from domain.discount import Discount, DiscountKind
from domain.money import AMOUNT_MINOR_MAX
from domain.pricing import NothingToPay, Position, PricedLine, Quote, quote
from domain.tax import PPM, Region, TaxClass, TaxTable
from domain.variant import TotalTooLarge

GERMANY = Region("DE")
RATES = {(GERMANY, TaxClass.STANDARD): 190_000, (GERMANY, TaxClass.REDUCED): 70_000}
CONTAINED = TaxTable(RATES, included=True)
ON_TOP = TaxTable(RATES, included=False)
UNTAXED = TaxTable({}, included=True)

SKUS = ("APPLE", "BREAD", "CIDER", "DATES", "EGGS")
POSITIONS = st.lists(
    st.builds(
        Position,
        st.sampled_from(SKUS),
        st.integers(1, 50),
        st.integers(1, 9_999),
        st.sampled_from(TaxClass),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda position: position.sku,
)
SOME_SKUS = st.none() | st.frozensets(st.sampled_from(SKUS), min_size=1)
PERCENTAGES = st.builds(
    Discount,
    st.uuids(),
    st.just(DiscountKind.PERCENTAGE),
    st.integers(1, 10_000),
    skus=SOME_SKUS,
    combines=st.booleans(),
)
AMOUNTS = st.builds(
    Discount,
    st.uuids(),
    st.just(DiscountKind.FIXED),
    st.integers(1, 20_000),
    currency=st.just("EUR"),
    skus=SOME_SKUS,
    combines=st.booleans(),
)
SHIPPED_FREE = st.builds(
    Discount, st.uuids(), st.just(DiscountKind.FREE_SHIPPING), st.just(0), combines=st.booleans()
)
DISCOUNTS = st.lists(PERCENTAGES | AMOUNTS | SHIPPED_FREE, max_size=4, unique_by=lambda d: d.id)
TABLES = st.builds(
    TaxTable,
    st.fixed_dictionaries(
        {
            (GERMANY, TaxClass.STANDARD): st.integers(0, PPM),
            (GERMANY, TaxClass.REDUCED): st.integers(0, PPM),
        }
    ),
    included=st.booleans(),
)


def percentage(basis_points: int, n: int = 1, *, combines: bool = True) -> Discount:
    return Discount(UUID(int=n), DiscountKind.PERCENTAGE, basis_points, combines=combines)


def fixed(amount_minor: int, n: int = 2, *, combines: bool = True) -> Discount:
    return Discount(UUID(int=n), DiscountKind.FIXED, amount_minor, "EUR", combines=combines)


def priced(
    positions: Sequence[Position],
    *discounts: Discount,
    shipping_minor: int = 0,
    taxes: TaxTable = UNTAXED,
) -> Quote:
    return quote(positions, discounts, shipping_minor=shipping_minor, region=GERMANY, taxes=taxes)


@given(POSITIONS, DISCOUNTS, st.integers(0, 5_000), TABLES)
def test_parts_are_the_whole_and_nothing_is_negative(
    positions: list[Position], discounts: list[Discount], shipping_minor: int, taxes: TaxTable
) -> None:
    try:
        found = priced(positions, *discounts, shipping_minor=shipping_minor, taxes=taxes)
    except NothingToPay:
        reject()

    on_top = 0 if found.tax_included else found.tax_minor
    assert found.goods_minor == sum(p.amount_minor for p in positions)
    assert found.discount_minor == sum(line.discount_minor for line in found.lines)
    assert (
        found.total_minor
        == found.goods_minor - found.discount_minor + found.shipping_minor + on_top
    )
    saved = found.discount_minor + shipping_minor - found.shipping_minor
    assert sum(applied.amount_minor for applied in found.applied) == saved
    assert 0 <= found.shipping_minor <= shipping_minor
    assert found.total_minor > 0
    of_shipping = found.tax_minor - sum(line.tax_minor for line in found.lines)
    assert of_shipping >= 0
    for line in found.lines:
        left = line.quantity * line.unit_minor - line.discount_minor
        assert line.discount_minor >= 0
        assert 0 <= line.tax_minor <= left


@given(st.data(), POSITIONS, DISCOUNTS, TABLES)
def test_order_of_lines_and_of_discounts_is_irrelevant(
    data: st.DataObject, positions: list[Position], discounts: list[Discount], taxes: TaxTable
) -> None:
    other_lines = data.draw(st.permutations(positions))
    other_discounts = data.draw(st.permutations(discounts))

    try:
        found = priced(positions, *discounts, shipping_minor=499, taxes=taxes)
    except NothingToPay:
        reject()
    other = priced(other_lines, *other_discounts, shipping_minor=499, taxes=taxes)

    assert sorted(found.lines, key=_sku) == sorted(other.lines, key=_sku)
    assert msgspec.structs.replace(found, lines=()) == msgspec.structs.replace(other, lines=())


def _sku(line: PricedLine) -> str:
    return line.sku


def test_percentage_is_rounded_once_and_spread_over_the_lines() -> None:
    lines = [Position("APPLE", 1, 333), Position("BREAD", 1, 333), Position("CIDER", 1, 334)]

    found = priced(lines, percentage(1_000))

    assert found.discount_minor == 100
    assert [line.discount_minor for line in found.lines] == [33, 33, 34]
    assert found.total_minor == 900


def test_percentages_come_before_amounts_and_each_is_of_what_is_left() -> None:
    found = priced([Position("APPLE", 1, 10_000)], fixed(1_000), percentage(5_000))

    assert [applied.amount_minor for applied in found.applied] == [5_000, 1_000]
    assert found.total_minor == 4_000


def test_amount_takes_off_no_more_than_what_it_applies_to() -> None:
    apples = Discount(UUID(int=3), DiscountKind.FIXED, 900, "EUR", skus=frozenset({"APPLE"}))

    found = priced([Position("APPLE", 1, 500), Position("BREAD", 1, 500)], apples)

    assert [line.discount_minor for line in found.lines] == [500, 0]


def test_free_shipping_takes_off_the_shipping_alone() -> None:
    free = Discount(UUID(int=4), DiscountKind.FREE_SHIPPING, 0)

    found = priced([Position("APPLE", 1, 500)], free, shipping_minor=495)

    assert (found.shipping_minor, found.discount_minor, found.total_minor) == (0, 0, 500)
    assert [applied.amount_minor for applied in found.applied] == [495]


@pytest.mark.parametrize(("lone", "taken"), [(2_500, [2_500]), (1_000, [1_000, 450])])
def test_discount_that_does_not_combine_is_given_alone_if_it_saves_more(
    lone: int, taken: list[int]
) -> None:
    discounts = [percentage(1_000), percentage(500, 5), percentage(lone, 6, combines=False)]

    found = priced([Position("APPLE", 1, 10_000)], *discounts)

    assert [applied.amount_minor for applied in found.applied] == taken


def test_tax_is_rounded_once_for_all_that_have_one_rate() -> None:
    lines = [Position(sku, 1, 13) for sku in ("APPLE", "BREAD", "CIDER")]

    on_top = priced(lines, taxes=ON_TOP)

    # One by one it would be three times 2.47, rounded: 6.
    assert on_top.tax_minor == 7
    assert [line.tax_minor for line in on_top.lines] == [3, 2, 2]
    assert on_top.total_minor == 46


def test_tax_that_prices_contain_is_shown_and_not_added() -> None:
    book = Position("BREAD", 1, 1_070, TaxClass.REDUCED)

    found = priced([Position("APPLE", 1, 11_900), book], shipping_minor=119, taxes=CONTAINED)

    assert [line.tax_minor for line in found.lines] == [1_900, 70]
    assert found.tax_minor == 1_900 + 70 + 19
    assert found.total_minor == 11_900 + 1_070 + 119


def test_order_that_costs_nothing_is_refused() -> None:
    with pytest.raises(NothingToPay, match="leave one out") as refused:
        _ = priced([Position("APPLE", 1, 500)], percentage(10_000))

    assert refused.value.field == "discount_codes"


def test_order_that_costs_more_than_can_be_charged_is_refused() -> None:
    with pytest.raises(TotalTooLarge, match="split the order"):
        _ = priced([Position("APPLE", 1, AMOUNT_MINOR_MAX), Position("BREAD", 1, 1)])
