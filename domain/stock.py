"""Stock: what orders want of it and who gets it."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.location import Delivery, Location, Part, Preference, Store, pick, ranked
from domain.refusal import Conflict, Refusal

# Shelves of a billion pieces; beyond it a number is a slip of the hand.
ON_HAND_MAX = 1_000_000_000


class StockBelowReserved(Refusal):
    """Orders hold more than would be left on hand."""

    code: ClassVar[str] = "stock_below_reserved"


class NotIncoming(Refusal):
    """Nothing of it is to come any more, or not so much."""

    code: ClassVar[str] = "not_incoming"


class Cause(StrEnum):
    """Why people changed what is on hand."""

    OPENING = "opening"  # it was there before movements were kept
    COUNT = "count"  # what is on the shelves was counted
    ADJUSTMENT = "adjustment"  # so much more or less, for a reason
    RECEIPT = "receipt"  # goods came in
    TRANSFER = "transfer"  # they went from one place to another


class Moving(msgspec.Struct, frozen=True):
    """What a person does to what is on hand, at a location or at none."""

    cause: Cause
    delta: int
    location_id: UUID | None = None
    actor: UUID | None = None
    note: str | None = None
    incoming_id: UUID | None = None


class Line(msgspec.Struct, frozen=True):
    """A position of an order: price, name and tax class are those when it was placed.

    Orders of before these were kept have neither name nor tax class. `discount_minor` is taken
    off the whole line, and `tax_minor` is due on what is left: on top of it, or within.
    """

    sku: str
    quantity: int
    unit_minor: int
    name: str | None = None
    tax_class: str | None = None
    discount_minor: int = 0
    tax_minor: int = 0
    tax_ppm: int = 0


class Wanted(msgspec.Struct, frozen=True):
    """What one order asks for; a SKU stands in it once.

    `ahead` is there for an order that waits: what older ones wait for, by SKU.
    """

    order_id: UUID
    quantities: Mapping[str, int]
    ahead: Mapping[str, int] | None = None


class Supply(msgspec.Struct, frozen=True):
    """What there is of a SKU; read under its lock.

    `available` is held by nobody. Of that, or of what is to come, orders that wait are `promised`
    some: `backorder_max` at most beyond what is available. It is `located` if some of it lies, or
    lay, at a location.
    """

    available: int
    promised: int = 0
    backorder_max: int = 0
    located: bool = False


class Short(msgspec.Struct, frozen=True):
    """A SKU of which there is less than an order wants."""

    sku: str
    wanted: int
    available: int


class Places(msgspec.Struct, frozen=True):
    """Where what is located lies, and where the orders go that want of it.

    `held` is what can be had at each location, by SKU.
    """

    held: Mapping[Location, Mapping[str, int]] = {}
    deliveries: Mapping[UUID, Delivery] = {}
    preference: Preference = Preference.PRIORITY


class Allocation(msgspec.Struct, frozen=True):
    """The answer to one order: all of it, or a promise of all of it, or what it lacks.

    It is `scattered` if there is enough, at several locations, and it must not be split.
    """

    wanted: Wanted
    short: tuple[Short, ...] = ()
    waits: bool = False
    scattered: bool = False
    parts: tuple[Part, ...] = ()

    @property
    def is_given(self) -> bool:
        """Tell whether the order gets all that it wants."""
        return not (self.short or self.scattered)


NOWHERE = Places()


class _Left(msgspec.Struct):
    """What is left while a group is served: for new orders by SKU, and at each place."""

    free: dict[str, int]
    stores: dict[Location | None, dict[str, int]]
    ranks: dict[Delivery | None, list[Store]]  # the stores as a delivery prefers them


def allocate(
    group: Sequence[Wanted], supplies: Mapping[str, Supply], places: Places = NOWHERE
) -> list[Allocation]:
    """Give stock to a group of orders, first come first served, each all or nothing.

    What orders that wait are promised is not given to new ones. Those that wait get theirs once
    there is enough for all that are older, too. A SKU that `supplies` does not name has none.
    """
    left = _Left({sku: s.available - s.promised for sku, s in supplies.items()}, {}, {})
    located = {sku: s.available for sku, s in supplies.items() if s.located}
    for place, has in places.held.items():
        left.stores[place] = dict(has)
    left.stores[None] = {
        sku: available - sum(has.get(sku, 0) for has in places.held.values())
        for sku, available in located.items()
    }
    return [_allocate_one(wanted, supplies, places, left) for wanted in group]


def _allocate_one(
    wanted: Wanted, supplies: Mapping[str, Supply], places: Places, left: _Left
) -> Allocation:
    room = _room(wanted, supplies, left)
    short = tuple(
        Short(sku, quantity, max(0, room[sku]))
        for sku, quantity in wanted.quantities.items()
        if quantity > room[sku]
    )
    picked = None if short else _pick(wanted, supplies, places, left)
    if picked is None:
        waits = wanted.ahead is not None or _may_wait(wanted, supplies, room, short)
        _take(wanted, left, only=waits)
        return Allocation(wanted, short, waits, scattered=not short)
    _take(wanted, left)
    return Allocation(wanted, parts=picked)


def _room(wanted: Wanted, supplies: Mapping[str, Supply], left: _Left) -> dict[str, int]:
    """Give what an order can have of each of its SKUs at its turn."""
    if wanted.ahead is None:
        return {sku: left.free.get(sku, 0) for sku in wanted.quantities}
    none = Supply(0)
    return {s: supplies.get(s, none).available - wanted.ahead.get(s, 0) for s in wanted.quantities}


def _may_wait(
    wanted: Wanted,
    supplies: Mapping[str, Supply],
    room: Mapping[str, int],
    short: Sequence[Short],
) -> bool:
    """Tell whether all that a new order wants can be promised to it."""
    none = Supply(0)
    limits = {sku: supplies.get(sku, none).backorder_max for sku in wanted.quantities}
    if not short:
        # There is enough, at several places: it waits only for what may be waited for.
        return all(limits[sku] for sku in limits if supplies.get(sku, none).located)
    return all(q <= room[sku] + limits[sku] for sku, q in wanted.quantities.items())


def _take(wanted: Wanted, left: _Left, *, only: bool = True) -> None:
    """Have new orders find less from now on; those that wait are promised theirs already."""
    if only and wanted.ahead is None:
        for sku, quantity in wanted.quantities.items():
            left.free[sku] = left.free.get(sku, 0) - quantity


def _pick(
    wanted: Wanted, supplies: Mapping[str, Supply], places: Places, left: _Left
) -> tuple[Part, ...] | None:
    """Take what an order gets from where it lies; None if it lies at too many places."""
    quantities = {sku: q for sku, q in wanted.quantities.items() if supplies[sku].located}
    if not quantities:
        return ()
    to = places.deliveries[wanted.order_id]
    found = pick(quantities, _ranked(to, places, left), allow_split=to.allow_split)
    if found is None:
        return None
    for store, given in found:
        for sku, quantity in given.items():
            left.stores[store.location][sku] -= quantity
    return tuple(
        Part(sku, store.location.id, quantity)
        for store, given in found
        if store.location is not None
        for sku, quantity in given.items()
    )


def _ranked(to: Delivery, places: Places, left: _Left) -> list[Store]:
    """Give what is left at each place, the best first; by priority it is the same for all."""
    key = to if places.preference is Preference.NEAREST else None
    if key not in left.ranks:
        stores = [Store(place, has) for place, has in left.stores.items()]
        left.ranks[key] = ranked(stores, to, places.preference)
    return left.ranks[key]


def totals(group: Iterable[Wanted]) -> dict[str, int]:
    """Sum the quantities of many orders by SKU."""
    sums: dict[str, int] = {}
    for wanted in group:
        for sku, quantity in wanted.quantities.items():
            sums[sku] = sums.get(sku, 0) + quantity
    return sums


def refuse_level(sku: str, on_hand: int, *, reserved: int, where: str = "") -> None:
    """Raise StockBelowReserved or Conflict for what cannot be on hand, in all or `where` it is."""
    if on_hand < reserved:
        raise StockBelowReserved(
            f"{on_hand} of {sku} would be on hand{where}, and orders hold {reserved}{where}."
        )
    if on_hand > ON_HAND_MAX:
        raise Conflict(f"More than {ON_HAND_MAX} of {sku} would be on hand.")
