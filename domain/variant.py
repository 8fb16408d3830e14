"""Products: what is for sale, at what price, and what an order of them costs."""

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


class Item(msgspec.Struct, frozen=True):
    """A SKU and how many of it somebody wants."""

    sku: str
    quantity: int


def price(
    items: Sequence[Item], catalogue: Mapping[str, Variant], currency: str
) -> tuple[tuple[Line, ...], Money]:
    """Price an order at today's prices.

    Raises UnknownSku, ProductInactive, CurrencyMismatch, DuplicateSku or TotalTooLarge.
    """
    lines: dict[str, Line] = {}
    for n, item in enumerate(items):
        if item.sku in lines:
            raise DuplicateSku(
                f"{item.sku} stands in two lines: put them into one.", field=f"lines[{n}].sku"
            )
        product = _for_sale(item.sku, catalogue, currency, field=f"lines[{n}].sku")
        lines[item.sku] = Line(item.sku, item.quantity, product.price_minor)
    total = Money(sum(line.quantity * line.unit_minor for line in lines.values()), currency)
    if total.minor > AMOUNT_MINOR_MAX:
        raise TotalTooLarge(
            f"The total of {total.minor} is over {AMOUNT_MINOR_MAX} minor units: split the order.",
            field="lines",
        )
    return tuple(lines.values()), total


def _for_sale(sku: str, catalogue: Mapping[str, Variant], currency: str, *, field: str) -> Variant:
    product = catalogue.get(sku)
    if product is None:
        raise UnknownSku(f"There is no product {sku}.", field=field)
    if not product.active:
        raise ProductInactive(f"{sku} is not for sale.", field=field)
    if product.currency != currency:
        raise CurrencyMismatch(
            f"{sku} is sold in {product.currency}, not {currency}: order it in {product.currency}.",
            field=field,
        )
    return product
