"""Locations: where stock lies, which comes first for an order, and what it gets from where."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar
from uuid import UUID

import msgspec

from domain.refusal import Refusal


class LocationInUse(Refusal):
    """Stock is there, or on its way there."""

    code: ClassVar[str] = "location_in_use"


class Preference(StrEnum):
    """Which location an order is served from, of those that have it."""

    PRIORITY = "priority"  # the one with the lowest number
    NEAREST = "nearest"  # in the country it goes to, then by postcode, then by priority


class Location(msgspec.Struct, frozen=True):
    """A place where stock lies; of two with the same priority the code decides."""

    id: UUID
    code: str
    priority: int
    country: str
    postcode: str | None = None


class Delivery(msgspec.Struct, frozen=True):
    """Where an order goes, and whether it may go there in several parcels."""

    country: str
    postcode: str
    allow_split: bool = False


class Part(msgspec.Struct, frozen=True):
    """So many units of a SKU from a location."""

    sku: str
    location_id: UUID
    quantity: int


class Store(msgspec.Struct, frozen=True):
    """What one place can give by SKU; one without a location has what lies at none."""

    location: Location | None
    has: Mapping[str, int]


def ranked(stores: Iterable[Store], to: Delivery, preference: Preference) -> list[Store]:
    """Sort stores, the best for a delivery first; what lies at no location comes last."""

    def rank(store: Store) -> tuple[bool, bool, int, int, str]:
        place = store.location
        if place is None:
            return True, True, 0, 0, ""
        if preference is Preference.PRIORITY:
            return False, False, 0, place.priority, place.code
        shared = _shared(place.postcode, to.postcode) if place.country == to.country else 0
        return False, place.country != to.country, -shared, place.priority, place.code

    return sorted(stores, key=rank)


def _shared(one: str | None, other: str) -> int:
    """Count the characters that two postcodes begin with alike: they go from large to small."""
    if one is None:
        return 0
    pairs = enumerate(zip(_plain(one), _plain(other), strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(_plain(one)), len(_plain(other))))


# The postcodes of all locations, and of the orders of some groups.
@lru_cache(maxsize=5000)
def _plain(postcode: str) -> str:
    return "".join(c for c in postcode.upper() if c.isalnum())


def pick(
    wanted: Mapping[str, int], stores: Sequence[Store], *, allow_split: bool
) -> list[tuple[Store, dict[str, int]]] | None:
    """Say how much of each SKU an order gets from which of the stores, the best of which is first.

    All from one store if any has it all. Else, if that is allowed, from as few as possible: first
    from that which has most of it. None if it cannot be had.
    """
    for store in stores:
        if all(store.has.get(sku, 0) >= quantity for sku, quantity in wanted.items()):
            return [(store, dict(wanted))]
    return _split(wanted, stores) if allow_split else None


def _split(
    wanted: Mapping[str, int], stores: Sequence[Store]
) -> list[tuple[Store, dict[str, int]]] | None:
    missing, others = dict(wanted), list(stores)
    picked: list[tuple[Store, dict[str, int]]] = []
    while missing and others:
        gives = [_gives(store, missing) for store in others]
        most = max(range(len(others)), key=lambda n: sum(gives[n].values()))
        picked.append((others.pop(most), gives[most]))
        missing = {
            sku: left for sku, q in missing.items() if (left := q - gives[most].get(sku, 0)) > 0
        }
    return None if missing else [(store, given) for store, given in picked if given]


def _gives(store: Store, missing: Mapping[str, int]) -> dict[str, int]:
    has = {sku: min(quantity, store.has.get(sku, 0)) for sku, quantity in missing.items()}
    return {sku: quantity for sku, quantity in has.items() if quantity > 0}
