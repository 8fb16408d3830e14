"""A page is as old as the first higher price that was committed before it was asked for."""

import time

from ops.storm.price_stamps import BOUND_S, OUTAGE_BOUND_S, Stamps


def shown(stamps: Stamps, price: int, *, later_s: float) -> None:
    stamps.shown("CUP", price, asked_at=time.monotonic() + later_s, where="page")


def test_old_price_is_noticed_once_it_is_too_old() -> None:
    stamps = Stamps()
    for price in (1, 2, 3):
        stamps.changed("CUP", price)

    shown(stamps, 3, later_s=100)
    shown(stamps, 2, later_s=BOUND_S * 0.9)
    assert (stamps.too_old, 0 < stamps.oldest_s < BOUND_S) == ([], True)

    shown(stamps, 1, later_s=BOUND_S * 1.1)
    assert len(stamps.too_old) == 1


def test_price_that_nobody_was_told_of_is_not_old() -> None:
    stamps = Stamps()
    stamps.changed("CUP", 1)

    shown(stamps, 2, later_s=100)

    assert (stamps.too_old, stamps.oldest_s) == ([], 0)


def test_in_an_outage_and_just_after_older_prices_are_expected() -> None:
    stamps = Stamps()
    for price in (1, 2):
        stamps.changed("CUP", price)

    with stamps.outage(is_outage=True):
        shown(stamps, 1, later_s=OUTAGE_BOUND_S * 0.9)
        assert not stamps.too_old
        shown(stamps, 1, later_s=OUTAGE_BOUND_S * 1.1)

    assert len(stamps.too_old) == 1
    assert stamps.oldest_s == 0
