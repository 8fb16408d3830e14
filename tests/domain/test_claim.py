"""Claim tokens open the one order they were written for."""

from uuid import UUID

import pytest

from domain import claim

KEY, OTHER_KEY = bytes(32), bytes([1]) * 32
ORDER = UUID("01a1fc38-e824-799d-91fa-a3621629b8c6")
TOKEN = claim.write(ORDER, KEY)


def test_token_opens_its_order_and_is_the_same_each_time() -> None:
    assert claim.read(TOKEN, [KEY]) == ORDER
    assert claim.write(ORDER, KEY) == TOKEN
    assert claim.is_like(TOKEN)


def test_tokens_of_an_old_key_open_until_it_is_taken_away() -> None:
    assert claim.read(TOKEN, [OTHER_KEY, KEY]) == ORDER
    assert claim.read(TOKEN, [OTHER_KEY]) is None
    assert claim.read(TOKEN, []) is None


@pytest.mark.parametrize("place", range(len(TOKEN)))
def test_token_with_one_other_character_opens_nothing(place: int) -> None:
    other = "0" if TOKEN[place] != "0" else "1"

    assert claim.read(TOKEN[:place] + other + TOKEN[place + 1 :], [KEY]) is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        TOKEN[:-1],
        TOKEN + "0",
        TOKEN + "\n",
        TOKEN.upper(),
        TOKEN.replace(ORDER.hex, UUID(int=7).hex),
        TOKEN.replace(ORDER.hex, str(ORDER)),
    ],
)
def test_what_is_no_token_opens_nothing(token: str) -> None:
    assert claim.read(token, [KEY]) is None
