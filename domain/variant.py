"""Variants: what has a SKU, at what price it is for sale, and what an order of them costs."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, UnsetType

from domain.catalogue import Slug
from domain.money import AMOUNT_MINOR_MAX, Currency, Money
from domain.refusal import Refusal
from domain.stock import Line
from domain.tax import TaxClass
from domain.text import Text

# A thousand tonnes; and as many places as anybody sorts by hand.
WEIGHT_G_MAX = 1_000_000_000
RANK_MAX = 1_000_000

_TAX_CLASSES = "standard, reduced or zero"
GTIN_LENGTHS = frozenset({8, 12, 13, 14})
Price = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
Barcode = Annotated[
    str, Meta(pattern=r"^[0-9]+\Z", max_length=14, description="a GTIN, e.g. 4006381333931")
]
_AN_OPTION = "lower-case ASCII letters, digits, _ and -, e.g. size"
OptionName = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]*\Z", max_length=50, description=_AN_OPTION)
]


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


class VariantContent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """What staff says of a variant, without its SKU; amounts are in minor units of `currency`.

    `product` is the slug of what it is a variant of, and `options` tell it from the others of
    that, e.g. size and colour. `compare_at_minor` is what it used to cost, `cost_minor` what it
    costs the shop, which staff alone sees.
    """

    name: Text
    price_minor: Price
    currency: Currency
    active: bool = True
    product: Slug | None = None
    barcode: Barcode | None = None
    options: Annotated[dict[OptionName, Text], Meta(max_length=5)] = {}
    compare_at_minor: Price | None = None
    cost_minor: Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)] | None = None
    weight_g: Annotated[int, Meta(ge=0, le=WEIGHT_G_MAX)] | None = None
    tax_class: Annotated[TaxClass, Meta(description=_TAX_CLASSES)] = TaxClass.STANDARD
    rank: Annotated[int, Meta(ge=0, le=RANK_MAX)] = 0

    def __post_init__(self) -> None:
        """Raise ValueError for a barcode that is none."""
        if self.barcode is not None and not is_gtin(self.barcode):
            raise ValueError("`barcode`: Expected a GTIN, whose last digit checks the others")


class Variant(msgspec.Struct, frozen=True):
    """A thing for sale as it is stored; without a `product`, a slug, it stands alone.

    `cost_minor` is unset for those who must not see it.
    """

    sku: str
    name: str
    price_minor: int
    currency: str
    active: bool
    version: int
    product: str | None = None
    barcode: str | None = None
    options: dict[str, str] = {}
    compare_at_minor: int | None = None
    cost_minor: int | UnsetType | None = None
    weight_g: int | None = None
    tax_class: TaxClass = TaxClass.STANDARD
    rank: int = 0


def is_gtin(barcode: str) -> bool:
    """Tell whether digits are a GTIN-8, -12, -13 or -14 (GS1 General Specifications, 7.9)."""
    if len(barcode) not in GTIN_LENGTHS:
        return False
    weighted = (int(digit) * (1 + 2 * (n % 2)) for n, digit in enumerate(reversed(barcode)))
    return sum(weighted) % 10 == 0


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
