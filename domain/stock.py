"""Stock: what orders want of it and who gets it."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.refusal import Conflict, Refusal

# Shelves of a billion pieces; beyond it a number is a slip of the hand.
ON_HAND_MAX = 1_000_000_000


class StockBelowReserved(Refusal):
    """Orders hold more than would be left on hand."""

    code: ClassVar[str] = "stock_below_reserved"


class Cause(StrEnum):
    """Why people changed what is on hand."""

    OPENING = "opening"  # it was there before movements were kept
    COUNT = "count"  # what is on the shelves was counted
    ADJUSTMENT = "adjustment"  # so much more or less, for a reason


class Line(msgspec.Struct, frozen=True):
    """A position of an order: price, name and tax class are those when it was placed.

    Orders of before these were kept have neither name nor tax class.
    """

    sku: str
    quantity: int
    unit_minor: int
    name: str | None = None
    tax_class: str | None = None


class Wanted(msgspec.Struct, frozen=True):
    """What one order asks for; a SKU stands in it once."""

    order_id: UUID
    quantities: Mapping[str, int]


class Short(msgspec.Struct, frozen=True):
    """A SKU of which there is less than an order wants."""

    sku: str
    wanted: int
    available: int


class Allocation(msgspec.Struct, frozen=True):
    """The answer to one order: all of it, or what it lacks."""

    wanted: Wanted
    short: tuple[Short, ...] = ()


def allocate(group: Sequence[Wanted], available: Mapping[str, int]) -> list[Allocation]:
    """Give stock to a group of orders, first come first served, each all or nothing.

    A SKU that `available` does not name has none.
    """
    left = dict(available)
    return [_allocate_one(wanted, left) for wanted in group]


def _allocate_one(wanted: Wanted, left: dict[str, int]) -> Allocation:
    short = tuple(
        Short(sku, quantity, left.get(sku, 0))
        for sku, quantity in wanted.quantities.items()
        if quantity > left.get(sku, 0)
    )
    if not short:
        for sku, quantity in wanted.quantities.items():
            left[sku] -= quantity
    return Allocation(wanted, short)


def totals(group: Iterable[Wanted]) -> dict[str, int]:
    """Sum the quantities of many orders by SKU."""
    sums: dict[str, int] = {}
    for wanted in group:
        for sku, quantity in wanted.quantities.items():
            sums[sku] = sums.get(sku, 0) + quantity
    return sums


def refuse_level(sku: str, on_hand: int, *, reserved: int) -> None:
    """Raise StockBelowReserved or Conflict for what cannot be on hand."""
    if on_hand < reserved:
        raise StockBelowReserved(
            f"{on_hand} of {sku} would be on hand, and orders hold {reserved}."
        )
    if on_hand > ON_HAND_MAX:
        raise Conflict(f"More than {ON_HAND_MAX} of {sku} would be on hand.")
