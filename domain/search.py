"""Searching the catalogue: what may be asked, what comes back, and who can be asked.

Postgres is the first engine (`db.finds.Finds`); another one takes its place by the same Protocol.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

# Nobody reads on beyond what they typed; what is longer is pasted, or hostile.
TEXT_CHARS_MAX = 200
TEXT_WORDS_MAX = 12
ATTRIBUTES_MAX = 10


class Sort(StrEnum):
    RELEVANCE = "relevance"
    PRICE = "price"
    PRICE_DOWN = "-price"
    NEWEST = "newest"
    RATING = "rating"
    NAME = "name"


class Wanted(msgspec.Struct, frozen=True):
    """What is searched for; amounts are in minor units of `currency`, `rating` in whole stars.

    A product has to have one of the values of each attribute. Without a text there is no
    relevance: then the newest come first.
    """

    text: str | None = None
    category: str | None = None  # its slug; what is below it counts, too
    currency: str | None = None
    price_from_minor: int | None = None
    price_to_minor: int | None = None
    available: bool | None = None
    rating_from: int | None = None
    attributes: Mapping[str, Sequence[str]] = {}
    sort: Sort = Sort.RELEVANCE

    @property
    def order(self) -> Sort:
        """Give the order that is meant."""
        if self.sort is Sort.RELEVANCE and self.text is None:
            return Sort.NEWEST
        return self.sort


class Piece(msgspec.Struct, frozen=True):
    """A part of a text as it stands; `hit` if it is what was searched for. All parts are it all."""

    text: str
    hit: bool


class Hit(msgspec.Struct, frozen=True):
    """A product that was found; its price is the lowest of its variants now, in `currency`."""

    slug: str
    name: str
    category: str | None
    image: str | None
    price_minor: int | None
    currency: str | None
    available: bool
    rating: float | None
    reviews: int
    published_at: datetime
    highlight: Sequence[Piece]
    snippet: Sequence[Piece] | None = None


class CategoryCount(msgspec.Struct, frozen=True):
    """How many are in a category, with what is below it."""

    slug: str
    name: str
    parent: str | None
    count: int


class PriceCount(msgspec.Struct, frozen=True):
    """How many cost at least `from_minor` and less than `below_minor`, if there is such an end."""

    from_minor: int
    below_minor: int | None
    count: int


class AvailabilityCount(msgspec.Struct, frozen=True):
    available: bool
    count: int


class RatingCount(msgspec.Struct, frozen=True):
    """How many have at least that many stars."""

    rating_from: int
    count: int


class AttributeCount(msgspec.Struct, frozen=True):
    name: str
    value: str
    count: int


class Facets(msgspec.Struct, frozen=True):
    """What the hits are like, to choose from next; none that no hit has.

    Each is counted under all filters but its own, as choosing another value would take its place;
    a category is counted under its own, too, as one goes down from it. Prices are counted if a
    currency is given. Of more than 3,000 products some 1,500 are counted, and `exact` is false.
    """

    exact: bool
    categories: Sequence[CategoryCount]
    prices: Sequence[PriceCount]
    availability: Sequence[AvailabilityCount]
    ratings: Sequence[RatingCount]
    attributes: Sequence[AttributeCount]


class Found(msgspec.Struct, frozen=True):
    """A page of what was found.

    `corrected` is what the text was taken for, if a word of it was corrected; `every_word` tells
    whether the hits have all words, or only some as none has all. The total is `exact`, or
    estimated from some of very many. `next` is the place after the last hit, None at the end.
    """

    total: int
    exact: bool
    corrected: str | None
    every_word: bool
    hits: Sequence[Hit]
    facets: Facets | None
    next: "Place | None"


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A place in an order of hits: what it is ordered by there, a name or a number, and the id."""

    key: int | str
    id: UUID


class Engine(Protocol):
    """Whoever can search the catalogue."""

    async def search(
        self, wanted: Wanted, *, after: Place | None, limit: int, facets: bool
    ) -> Found:
        """Find public products, a page of them, with or without facets.

        Raises NotFound for a category that is not there, Busy if it would take too long.
        """
        ...
