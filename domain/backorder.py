"""Backorders: when an order that waits may expect what it waits for."""

from collections.abc import Sequence
from datetime import date

import msgspec

from domain.stock import Short


class Due(msgspec.Struct, frozen=True):
    """What is still to come of a delivery, and on which day, if anybody knows."""

    quantity: int
    expected_on: date | None


class Wait(msgspec.Struct, frozen=True):
    """A SKU that an order waits for: what is missing of it, with what older orders wait for."""

    missing: int
    deliveries: Sequence[Due]
    available_from: date | None = None


class Waiting(msgspec.Struct, frozen=True):
    """What an order waits for: what it is short of, or else all of it at one location."""

    short: tuple[Short, ...] = ()
    scattered: bool = False
    expected_on: date | None = None


def expected(waits: Sequence[Wait]) -> date | None:
    """Give the day on which the last of it is to be there; None if nobody knows."""
    days = [_expected(wait) for wait in waits if wait.missing > 0]
    known = [day for day in days if day is not None]
    return max(known) if known and len(known) == len(days) else None


def _expected(wait: Wait) -> date | None:
    """Give the day of the delivery that brings enough, or else that of the preorder."""
    dated = [(d.expected_on, d.quantity) for d in wait.deliveries if d.expected_on is not None]
    come = 0
    for day, quantity in sorted(dated):
        come += quantity
        if come >= wait.missing:
            return day if wait.available_from is None else max(day, wait.available_from)
    return wait.available_from
