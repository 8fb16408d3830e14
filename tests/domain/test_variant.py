"""What an order costs, and why an order cannot be priced."""

from collections.abc import Sequence

import pytest

from domain.money import AMOUNT_MINOR_MAX, Money
from domain.refusal import Refusal
from domain.stock import Line
from domain.variant import (
    CurrencyMismatch,
    DuplicateSku,
    Item,
    ProductInactive,
    TotalTooLarge,
    UnknownSku,
    price,
)
from tests.builders import an_offer

OFFERS = {
    (offer.sku, offer.currency): offer
    for offer in (
        an_offer("APPLE", price_minor=30),
        an_offer("APPLE", price_minor=35, currency="EUR"),
        an_offer("PEAR", price_minor=45),
        an_offer("OLD", for_sale=False),
        an_offer("BRIE", price_minor=None, currency="EUR"),
        an_offer("PENNY", price_minor=1),
    )
}


def test_order_costs_the_sum_of_its_lines_at_the_prices_of_the_catalogue() -> None:
    lines, total = price([Item("PEAR", 2), Item("APPLE", 3)], OFFERS, "GBP")

    assert lines == (
        Line("PEAR", 2, 45, "Product PEAR", "standard"),
        Line("APPLE", 3, 30, "Product APPLE", "standard"),
    )
    assert total == Money(180, "GBP")


def test_order_costs_what_is_asked_in_its_currency() -> None:
    _, total = price([Item("APPLE", 2)], OFFERS, "EUR")

    assert total == Money(70, "EUR")


@pytest.mark.parametrize(
    ("items", "refusal", "field"),
    [
        ([Item("APPLE", 1), Item("NOPE", 1)], UnknownSku, "lines[1].sku"),
        ([Item("OLD", 1)], ProductInactive, "lines[0].sku"),
        ([Item("APPLE", 1), Item("PEAR", 1), Item("APPLE", 2)], DuplicateSku, "lines[2].sku"),
        ([Item("PENNY", AMOUNT_MINOR_MAX + 1)], TotalTooLarge, "lines"),
    ],
)
def test_order_that_cannot_be_priced_is_refused_with_the_line_at_fault(
    items: Sequence[Item], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        price(items, OFFERS, "GBP")

    assert refused.value.field == field


def test_currency_mismatch_says_in_which_currency_it_is_sold() -> None:
    with pytest.raises(CurrencyMismatch, match="sold in GBP, not EUR") as refused:
        price([Item("APPLE", 1), Item("BRIE", 1)], OFFERS, "EUR")

    assert refused.value.field == "lines[1].sku"


def test_order_of_exactly_the_largest_total_is_accepted() -> None:
    _, total = price([Item("PENNY", AMOUNT_MINOR_MAX)], OFFERS, "GBP")

    assert total.minor == AMOUNT_MINOR_MAX


def test_total_too_large_over_many_lines_is_refused() -> None:
    half = AMOUNT_MINOR_MAX // 2 + 1
    offers = {(sku, "GBP"): an_offer(sku, price_minor=half) for sku in ("A", "B")}

    with pytest.raises(TotalTooLarge):
        price([Item("A", 1), Item("B", 1)], offers, "GBP")
