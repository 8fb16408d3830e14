"""Money adds within a currency, and only what is a currency is taken for one."""

import msgspec
import pytest

from domain.money import Currency, Money


def test_money_of_one_currency_adds() -> None:
    assert Money(150, "GBP") + Money(-50, "GBP") == Money(100, "GBP")


def test_money_of_two_currencies_does_not_add() -> None:
    with pytest.raises(ValueError, match="GBP and EUR"):
        sum([Money(1, "EUR")], Money(1, "GBP"))


def test_negated_money_keeps_its_currency() -> None:
    assert -Money(150, "GBP") == Money(-150, "GBP")


@pytest.mark.parametrize(
    "text",
    ["gbp", "GB", "GBPX", "GBP\n", "", "G1P", "\uff27\uff22\uff30", "QQQ", "XXX", "XAU", "DEM"],
)
def test_what_is_no_currency_code_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Currency)


@pytest.mark.parametrize("text", ["GBP", "EUR", "JPY", "KWD", "XOF", "ZWG"])
def test_currency_of_iso_4217_is_taken(text: str) -> None:
    assert msgspec.convert(text, Currency) == text
