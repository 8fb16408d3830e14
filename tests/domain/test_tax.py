"""What part of a price is tax, where, and for what."""

import pytest

from domain.tax import Rate, Region, TaxClass, TaxTable, tax

NEW_YORK = Region("US", "NY")
RATES = {
    (Region("DE"), TaxClass.STANDARD): 190_000,
    (Region("DE"), TaxClass.REDUCED): 70_000,
    (Region("US"), TaxClass.STANDARD): 0,
    (NEW_YORK, TaxClass.STANDARD): 88_750,
}


@pytest.mark.parametrize(
    ("amount_minor", "rate", "expected"),
    [
        (11_900, Rate(190_000, included=True), 1_900),
        (10_000, Rate(190_000, included=False), 1_900),
        (100, Rate(88_750, included=False), 9),  # 8.875
        (10, Rate(50_000, included=False), 1),  # a half is rounded up
        (0, Rate(190_000, included=True), 0),
        (12_345, Rate(0, included=True), 0),
    ],
)
def test_tax_is_added_or_contained_and_rounded_once(
    amount_minor: int, rate: Rate, expected: int
) -> None:
    assert tax(amount_minor, rate) == expected


@pytest.mark.parametrize(
    ("region", "tax_class", "ppm"),
    [
        (Region("DE"), TaxClass.STANDARD, 190_000),
        (Region("DE"), TaxClass.REDUCED, 70_000),
        (Region("DE", "BY"), TaxClass.REDUCED, 70_000),  # the country's
        (NEW_YORK, TaxClass.STANDARD, 88_750),
        (NEW_YORK, TaxClass.REDUCED, 88_750),  # it has none of its own
        (Region("US", "OR"), TaxClass.STANDARD, 0),
        (Region("BR"), TaxClass.STANDARD, 0),  # not in the table
        (Region("DE"), TaxClass.ZERO, 0),
    ],
)
def test_nearest_rate_of_the_table_is_taken(region: Region, tax_class: TaxClass, ppm: int) -> None:
    assert TaxTable(RATES, included=True).rate(region, tax_class) == Rate(ppm, included=True)
