"""Variants: what has a SKU, at what price it is for sale, and what an order of them costs."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from domain.money import AMOUNT_MINOR_MAX, Money
from domain.refusal import Refusal
from domain.stock import Line


class UnknownSku(Refusal):
    """No product has this SKU."""

    code: ClassVar[str] = "unknown_sku"


class ProductInactive(Refusal):
    """The product is not for sale."""

    code: ClassVar[str] = "product_inactive"


class CurrencyMismatch(Refusal):
    """The product is not sold in the order's currency."""

    code: ClassVar[str] = "currency_mismatch"


class DuplicateSku(Refusal):
    """Two lines of one order name the same SKU."""

    code: ClassVar[str] = "duplicate_sku"


class TotalTooLarge(Refusal):
    """The order costs more than a gateway can charge at once."""

    code: ClassVar[str] = "total_too_large"


class Variant(msgspec.Struct, frozen=True):
    """A thing for sale; the price is in minor units of its currency."""

    sku: str
    name: str
    price_minor: int
    currency: str
    active: bool
    version: int


class Offer(msgspec.Struct, frozen=True):
    """What a variant costs now in one currency; None if it is not sold in that.

    `sold_in` is the currency of its own price, which counts where no price list has another.
    """

    sku: str
    currency: str
    name: str
    tax_class: str
    sold_in: str
    price_minor: int | None
    for_sale: bool


class Item(msgspec.Struct, frozen=True):
    """A SKU and how many of it somebody wants."""

    sku: str
    quantity: int


def price(
    items: Sequence[Item], offers: Mapping[tuple[str, str], Offer], currency: str
) -> tuple[tuple[Line, ...], Money]:
    """Price an order at today's prices; `offers` are by SKU and currency.

    Raises UnknownSku, ProductInactive, CurrencyMismatch, DuplicateSku or TotalTooLarge.
    """
    lines: dict[str, Line] = {}
    for n, item in enumerate(items):
        if item.sku in lines:
            raise DuplicateSku(
                f"{item.sku} stands in two lines: put them into one.", field=f"lines[{n}].sku"
            )
        found = offers.get((item.sku, currency))
        lines[item.sku] = _line(item, found, currency, field=f"lines[{n}].sku")
    total = Money(sum(line.quantity * line.unit_minor for line in lines.values()), currency)
    if total.minor > AMOUNT_MINOR_MAX:
        raise TotalTooLarge(
            f"The total of {total.minor} is over {AMOUNT_MINOR_MAX} minor units: split the order.",
            field="lines",
        )
    return tuple(lines.values()), total


def _line(item: Item, offer: Offer | None, currency: str, *, field: str) -> Line:
    if offer is None:
        raise UnknownSku(f"There is no product {item.sku}.", field=field)
    if not offer.for_sale:
        raise ProductInactive(f"{item.sku} is not for sale.", field=field)
    if offer.price_minor is None:
        raise CurrencyMismatch(
            f"{item.sku} is sold in {offer.sold_in}, not {currency}: order it in {offer.sold_in}.",
            field=field,
        )
    return Line(item.sku, item.quantity, offer.price_minor, offer.name, offer.tax_class)
