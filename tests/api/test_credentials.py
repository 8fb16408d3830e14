"""API keys as text: typing errors are found, and what is kept opens nothing."""

import pytest

from api import credentials

# Written out, as each worker of the tests has to collect the same ones.
KEY = "of_live_bcEcCFBGFd31c2Egfbb22E2aC0chG0FFGE3hH0gHG2H37WTki"


def test_key_is_well_formed_and_never_the_same() -> None:
    keys = {credentials.mint() for _ in range(100)}

    assert len(keys) == 100
    assert all(credentials.is_well_formed(key) and credentials.is_like(key) for key in keys)


@pytest.mark.parametrize("place", range(len(KEY)))
def test_typing_error_at_any_place_is_found(place: int) -> None:
    other = "A" if KEY[place] != "A" else "B"

    assert not credentials.is_well_formed(KEY[:place] + other + KEY[place + 1 :])


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "A", KEY + "\n", f" {KEY}", KEY[::-1]])
def test_what_is_no_key_is_not_well_formed(key: str) -> None:
    assert not credentials.is_well_formed(key)


def test_digest_is_that_of_the_whole_key_and_what_is_shown_is_a_small_part() -> None:
    assert len(credentials.digest(KEY)) == 32
    assert credentials.digest(KEY) != credentials.digest(credentials.mint())
    assert KEY.startswith(credentials.shown(KEY))
    assert len(KEY) - len(credentials.shown(KEY)) >= 40
