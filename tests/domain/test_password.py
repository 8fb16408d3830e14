"""Passwords that may be chosen, and those that are tried first."""

import pytest

from api.passwords import commonest
from domain.password import LENGTH_MAX, PasswordRefused, check, normalized

WORDS = ("ann.miller@example.com", "ann.miller", "example", "Ann Miller")


def refused(password: str) -> str | None:
    try:
        check(password, common=commonest(), words=WORDS)
    except PasswordRefused as refusal:
        return f"{refusal.field}: {refusal.detail}"
    return None


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "mauve tin ladder",
        "aaaabbbbccccdddd",
        "only lower case letters",
        "no digits nor signs",
        "  spaces around  it ",
        "пароль из четырёх слов",
        "🐙🐢🦉🐝🐌🦔🐿🦎🐍🦋🐞🦗🕷🦂🐡",
        "x" * 7 + "y" * 8,
        "314159265358979323846",
        "k" * 3 + "correct horse battery staple" * 9,
    ],
)
def test_any_long_password_may_be_chosen_whatever_it_is_made_of(password: str) -> None:
    assert refused(password) is None


def test_bounds_of_length_count_characters_and_not_bytes() -> None:
    assert "15 characters or more" in (refused("x7Q! pK2 mW9 zR") or "15 characters or more")
    assert "15 characters or more" in (refused("äöü äöü äöü äö") or "")
    assert refused("äöü äöu aöü äöö") is None
    long = "".join(chr(0x4E00 + n) for n in range(LENGTH_MAX + 1))
    assert refused(long[:64]) is None
    assert refused(long[:LENGTH_MAX]) is None
    assert "256 characters at most" in (refused(long) or "")


@pytest.mark.parametrize(
    "password",
    [
        "123456789987654321",
        "1qaz2wsx3edc4rfv",
        "1QAZ2WSX3EDC4RFV",
        "passwordpassword",
        "PasswordPassword1!",
        "monkeymonkeymonkey",
        "iloveyou1234567890",
        "!!!!!dragon2026!!!!!",
        "aaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "123451234512345",
        "qwertyuiopasdfghjkl",
        "lkjhgfdsapoiuytrewq",
        "abcdefghijklmnopq",
        "0123456789012345",
        "9876543210987654",
        "".join(chr(ord(letter) + 0xFEE0) for letter in "passwordpassword"),
    ],
)
def test_what_is_tried_first_is_refused(password: str) -> None:
    assert "tried first" in (refused(password) or "")


@pytest.mark.parametrize(
    "password",
    [
        "ann.miller@example.com",
        "Ann.Miller@Example.com1",
        "ann.millerann.miller!",
        "OrderflowAnn Miller",
    ],
)
def test_what_says_who_one_is_is_refused(password: str) -> None:
    assert "nothing to do with you" in (refused(password) or "")


def test_what_looks_the_same_is_the_same() -> None:
    assert normalized("caf\u0065\u0301 ﬁne") == normalized("caf\u00e9 fine")
