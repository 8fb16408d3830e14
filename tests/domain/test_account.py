"""Whose an address is."""

import pytest

from domain.account import fold, words_of


def test_case_makes_no_other_account() -> None:
    assert fold("Ann.Miller@EXAMPLE.com") == "ann.miller@example.com"


@pytest.mark.parametrize(
    "email",
    [
        "\u0430nn@example.com",
        "\u0130nn@example.com",
        "ann@exam\u212aple.com",
        "ann@b\u00fccher.example",
    ],
)
def test_letter_that_could_pass_for_another_is_none_of_an_address(email: str) -> None:
    with pytest.raises(ValueError, match="ASCII"):
        fold(email)


def test_words_of_a_person_are_those_of_address_and_name() -> None:
    assert set(words_of("ann.miller@shop.example", "Ann Miller")) == {
        *("ann.miller@shop.example", "ann.miller", "shop.example", "shop"),
        *("Ann Miller", "Ann", "Miller"),
    }
