"""Carts: what somebody means to buy, and what changed of it since they last looked."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import ClassVar

import msgspec

from domain.refusal import Refusal
from domain.variant import Offer

# A weekly shop has a hundred lines; each view prices all of them.
LINES_MAX = 500
QUANTITY_MAX = 1_000_000
CODES_MAX = 5
# Whoever comes back within a month finds the cart as it was left.
KEEP_DAYS = 30


class CartFull(Refusal):
    """The cart cannot take more lines, or more of one line."""

    code: ClassVar[str] = "cart_full"


class CartClosed(Refusal):
    """The cart was ordered, or went into another one."""

    code: ClassVar[str] = "cart_closed"


class CartEmpty(Refusal):
    """There is nothing in the cart that could be ordered."""

    code: ClassVar[str] = "cart_empty"


class CartChanged(Refusal):
    """The cart is not what its customer saw."""

    code: ClassVar[str] = "precondition_failed"


class CartState(StrEnum):
    OPEN = "open"  # can be changed, merged and ordered
    ORDERED = "ordered"  # an order was made of it
    MERGED = "merged"  # its lines went into the cart of an account


class Availability(StrEnum):
    """How a line stands, from the best to the worst."""

    IN_STOCK = "in_stock"  # all of it can be had now
    LIMITED = "limited"  # some of it can
    OUT_OF_STOCK = "out_of_stock"  # none of it can
    NOT_FOR_SALE = "not_for_sale"  # not at all, or not in the currency of the cart


class Change(StrEnum):
    """What is different from what was shown last: the price, and how the line stands now."""

    PRICE_UP = "price_up"
    PRICE_DOWN = "price_down"
    IN_STOCK = "in_stock"
    LIMITED = "limited"
    OUT_OF_STOCK = "out_of_stock"
    NOT_FOR_SALE = "not_for_sale"


class Kept(msgspec.Struct, frozen=True):
    """A line as it is kept; what was `seen` of it is None until it has been shown."""

    sku: str
    quantity: int
    seen_minor: int | None = None
    seen: str | None = None


class CartLine(msgspec.Struct, frozen=True):
    """A line as it is now, and its `changes` since it was last shown.

    `available` is how many of `quantity` can be had now; `was_minor` the price that was shown
    last, if it is another one.
    """

    sku: str
    name: str | None
    quantity: int
    unit_minor: int | None
    amount_minor: int
    availability: Availability
    available: int
    was_minor: int | None
    changes: list[Change]


def show(kept: Kept, offer: Offer | None, *, available: int) -> CartLine:
    """Show a line at today's offer, and with what is `available` of it now."""
    unit_minor = None if offer is None or not offer.for_sale else offer.price_minor
    had = 0 if unit_minor is None else max(0, min(available, kept.quantity))
    now = _availability(kept.quantity, unit_minor, had)
    moved = _moved(kept.seen_minor, unit_minor)
    turned = [] if kept.seen in {None, now} else [Change(now)]
    return CartLine(
        sku=kept.sku,
        name=None if offer is None else offer.name,
        quantity=kept.quantity,
        unit_minor=unit_minor,
        amount_minor=kept.quantity * (unit_minor or 0),
        availability=now,
        available=had,
        was_minor=kept.seen_minor if moved else None,
        changes=[*moved, *turned],
    )


def _availability(quantity: int, unit_minor: int | None, had: int) -> Availability:
    if unit_minor is None:
        return Availability.NOT_FOR_SALE
    if had == quantity:
        return Availability.IN_STOCK
    return Availability.LIMITED if had else Availability.OUT_OF_STOCK


def _moved(seen_minor: int | None, unit_minor: int | None) -> list[Change]:
    if seen_minor is None or unit_minor is None or seen_minor == unit_minor:
        return []
    return [Change.PRICE_UP if unit_minor > seen_minor else Change.PRICE_DOWN]


def merged(own: Sequence[Kept], brought: Iterable[Kept]) -> list[Kept]:
    """Merge what somebody put into a cart before logging in with the cart of their account.

    Of a SKU that is in both, the larger quantity is meant: somebody who puts the same thing into
    two carts wants it once. What was in the account's cart stays, and what is brought joins it
    as long as there is room. So merging the same cart again changes nothing.
    """
    lines = {line.sku: line for line in own}
    for line in brought:
        there = lines.get(line.sku)
        if there is None and len(lines) < LINES_MAX:
            lines[line.sku] = line
        elif there is not None and there.quantity < line.quantity:
            lines[line.sku] = msgspec.structs.replace(there, quantity=line.quantity)
    return list(lines.values())


def refuse_closed(state: CartState) -> None:
    """Raise CartClosed unless the cart can still be changed."""
    if state is CartState.ORDERED:
        raise CartClosed("The cart was ordered: begin another one.")
    if state is CartState.MERGED:
        raise CartClosed("The cart went into that of an account: GET /v1/carts/mine.")


def refuse_codes(codes: int) -> None:
    """Raise CartFull if there are more codes in a cart than it can have."""
    if codes > CODES_MAX:
        raise CartFull(f"A cart has {CODES_MAX} codes at most: take another one out first.")


def refuse_full(lines: int, quantity: int) -> None:
    """Raise CartFull if a cart has more lines, or more of one line, than it can."""
    if lines > LINES_MAX:
        raise CartFull(f"A cart has {LINES_MAX} lines at most: take another one out first.")
    if quantity > QUANTITY_MAX:
        raise CartFull(f"A line is of {QUANTITY_MAX} pieces at most.", field="quantity")
