"""Carts: what changed of a line since it was shown, and how two carts become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cart import (
    LINES_MAX,
    QUANTITY_MAX,
    Availability,
    CartFull,
    Change,
    Kept,
    merged,
    refuse_full,
    show,
)
from tests.builders import an_offer

SKUS = st.sampled_from([f"SKU-{n}" for n in range(8)])
CARTS = st.dictionaries(SKUS, st.integers(1, 9)).map(
    lambda cart: [Kept(sku, quantity) for sku, quantity in cart.items()]
)


def quantities(lines: list[Kept]) -> dict[str, int]:
    return {line.sku: line.quantity for line in lines}


@pytest.mark.parametrize(
    ("seen_minor", "seen", "price_minor", "available", "changes"),
    [
        (None, None, 500, 9, []),
        (500, "in_stock", 500, 3, []),
        (400, "in_stock", 500, 3, [Change.PRICE_UP]),
        (600, "in_stock", 500, 3, [Change.PRICE_DOWN]),
        (500, "in_stock", 500, 2, [Change.LIMITED]),
        (500, "limited", 500, 0, [Change.OUT_OF_STOCK]),
        (500, "limited", 500, -1, [Change.OUT_OF_STOCK]),
        (600, "out_of_stock", 500, 3, [Change.PRICE_DOWN, Change.IN_STOCK]),
        (500, "in_stock", None, 3, [Change.NOT_FOR_SALE]),
        (500, "not_for_sale", None, 3, []),
    ],
)
def test_line_tells_what_changed_since_it_was_shown(
    seen_minor: int | None,
    seen: str | None,
    price_minor: int | None,
    available: int,
    changes: list[Change],
) -> None:
    offer = an_offer("APPLE", price_minor=price_minor)

    line = show(Kept("APPLE", 3, seen_minor, seen), offer, available=available)

    assert line.changes == changes
    assert line.amount_minor == 3 * (price_minor or 0)
    moved = {Change.PRICE_UP, Change.PRICE_DOWN} & set(changes)
    assert line.was_minor == (seen_minor if moved else None)


def test_what_nothing_is_known_of_is_not_for_sale() -> None:
    line = show(Kept("NOPE", 3, 500, "in_stock"), None, available=3)

    assert line.availability is Availability.NOT_FOR_SALE
    assert (line.name, line.unit_minor, line.available) == (None, None, 0)


@given(CARTS, CARTS)
def test_merged_cart_has_of_each_sku_the_larger_quantity(
    own: list[Kept], guest: list[Kept]
) -> None:
    both = merged(own, guest)

    mine, brought = quantities(own), quantities(guest)
    assert quantities(both) == {
        sku: max(mine.get(sku, 0), brought.get(sku, 0)) for sku in mine | brought
    }
    assert merged(both, guest) == both
    assert [line.sku for line in both][: len(own)] == [line.sku for line in own]


def test_merged_cart_is_no_larger_than_any_other_and_keeps_what_was_in_the_account() -> None:
    own = [Kept(f"OWN-{n}", 1) for n in range(LINES_MAX - 1)]
    guest = [Kept("FIRST", 1), Kept("SECOND", 1), Kept("OWN-0", 5)]

    both = quantities(merged(own, guest))

    assert len(both) == LINES_MAX
    assert (both["FIRST"], both["OWN-0"], "SECOND" in both) == (1, 5, False)


@pytest.mark.parametrize(("lines", "quantity"), [(LINES_MAX + 1, 1), (1, QUANTITY_MAX + 1)])
def test_cart_is_full(lines: int, quantity: int) -> None:
    refuse_full(LINES_MAX, QUANTITY_MAX)

    with pytest.raises(CartFull):
        refuse_full(lines, quantity)
