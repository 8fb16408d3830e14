"""Price lists: what variants cost in one currency, for a time."""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from domain.catalogue import Slug
from domain.moment import Moment, refuse_far
from domain.money import Currency
from domain.refusal import Refusal
from domain.variant import Price

PRIORITY_MAX = 1_000_000

ListName = Slug


class ListCurrencyFixed(Refusal):
    """A list with prices in it keeps its currency."""

    code: ClassVar[str] = "list_currency_fixed"


class PriceListContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What staff says of a list; it holds from `valid_from` to just before `valid_to`.

    Of the lists that hold, the one of the highest priority counts, then the first by name.
    """

    currency: Currency
    priority: Annotated[int, Meta(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] = 0
    valid_from: Moment | None = None
    valid_to: Moment | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a window that never opens."""
        refuse_far(valid_from=self.valid_from, valid_to=self.valid_to)
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError("`valid_to`: Expected a moment after `valid_from`")


class PriceList(msgspec.Struct, frozen=True):
    """A list as it is stored, without its prices; `version` counts changes of both."""

    name: str
    currency: str
    priority: int
    valid_from: datetime | None
    valid_to: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class EntryContent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price, and what it is compared with, in minor units of the list's currency."""

    price_minor: Price
    compare_at_minor: Price | None = None


class Entry(msgspec.Struct, frozen=True):
    """What a variant costs by a list."""

    sku: str
    price_minor: int
    compare_at_minor: int | None
