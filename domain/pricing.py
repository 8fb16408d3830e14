"""Pricing: what an order costs, with discounts, shipping and taxes, to the minor unit."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import ClassVar

import msgspec

from domain.apportion import apportion
from domain.discount import BASIS_POINTS, Discount, DiscountKind
from domain.money import AMOUNT_MINOR_MAX
from domain.refusal import Refusal
from domain.tax import Rate, Region, TaxClass, Taxes, tax
from domain.variant import TotalTooLarge

# The name of shipping among the lines; no SKU is empty.
_SHIPPING = ""


class NothingToPay(Refusal):
    """Discounts leave nothing to be paid, and a gateway charges no nothing."""

    code: ClassVar[str] = "nothing_to_pay"


class Position(msgspec.Struct, frozen=True):
    """Goods of an order at today's price; a SKU stands in it once."""

    sku: str
    quantity: int
    unit_minor: int
    tax_class: TaxClass = TaxClass.STANDARD

    @property
    def amount_minor(self) -> int:
        """Give what the goods cost before discounts."""
        return self.quantity * self.unit_minor


class PricedLine(msgspec.Struct, frozen=True):
    """A position, what is taken off it, and its tax: on top, or contained."""

    sku: str
    quantity: int
    unit_minor: int
    discount_minor: int
    tax_minor: int
    tax_ppm: int = 0  # the rate of it


class Applied(msgspec.Struct, frozen=True):
    """What one discount takes off goods and shipping together."""

    discount: Discount
    amount_minor: int


class Quote(msgspec.Struct, frozen=True):
    """What an order costs.

    `goods_minor` - `discount_minor` + `shipping_minor` is `total_minor`, plus `tax_minor` unless
    prices contain it. `shipping_minor` is what is left of it; what a discount took off shipping
    is in `applied` only.
    """

    lines: tuple[PricedLine, ...]
    applied: tuple[Applied, ...]
    goods_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    tax_included: bool
    total_minor: int
    shipping_tax_ppm: int = 0


class _Tally(msgspec.Struct):
    """What is left to be paid of each SKU and of shipping, while discounts are taken off."""

    left: dict[str, int]
    shipping: int

    def take(self, discount: Discount) -> int:
        """Take a discount off; returns how much that was."""
        if discount.kind is DiscountKind.FREE_SHIPPING:
            saved, self.shipping = self.shipping, 0
            return saved
        eligible = _eligible(discount, self.left)
        whole = sum(eligible.values())
        amount = _off(discount, whole)
        for sku, part in apportion(amount, eligible).items():
            self.left[sku] -= part
        return amount


def quote(
    positions: Sequence[Position],
    discounts: Iterable[Discount],
    *,
    shipping_minor: int,
    region: Region,
    taxes: Taxes,
) -> Quote:
    """Price an order; `discounts` are those that fit it, in any order.

    As `priced`; raises NothingToPay or TotalTooLarge.
    """
    made = priced(positions, discounts, shipping_minor=shipping_minor, region=region, taxes=taxes)
    refuse_unpayable(made)
    return made


def priced(
    positions: Sequence[Position],
    discounts: Iterable[Discount],
    *,
    shipping_minor: int,
    region: Region,
    taxes: Taxes,
) -> Quote:
    """Price an order that need not be one yet: a cart may be empty, or cost too much.

    Percentages are taken off first, then amounts, each of what is left: the customer has more
    of it that way. Discounts that combine are given together; if one that does not would save
    more by itself, it alone is given. Each amount is rounded once, halves up, and spread over
    the lines by the largest remainder; tax is rounded once per rate, as on an invoice.
    """
    goods = {position.sku: position.amount_minor for position in positions}
    applied, tally = _best(goods, shipping_minor, discounts)
    rates = {p.sku: taxes.rate(region, p.tax_class) for p in positions}
    rates[_SHIPPING] = taxes.rate(region, TaxClass.STANDARD)
    taxed = _taxed({**tally.left, _SHIPPING: tally.shipping}, rates)
    included = rates[_SHIPPING].included
    due = sum(tally.left.values()) + tally.shipping + (0 if included else sum(taxed.values()))
    return Quote(
        lines=tuple(_line(p, tally.left[p.sku], taxed[p.sku], rates[p.sku]) for p in positions),
        applied=applied,
        goods_minor=sum(goods.values()),
        discount_minor=sum(goods.values()) - sum(tally.left.values()),
        shipping_minor=tally.shipping,
        tax_minor=sum(taxed.values()),
        tax_included=included,
        total_minor=due,
        shipping_tax_ppm=rates[_SHIPPING].ppm,
    )


def _line(position: Position, left: int, tax_minor: int, rate: Rate) -> PricedLine:
    return PricedLine(
        sku=position.sku,
        quantity=position.quantity,
        unit_minor=position.unit_minor,
        discount_minor=position.amount_minor - left,
        tax_minor=tax_minor,
        tax_ppm=rate.ppm,
    )


def refuse_unpayable(made: Quote) -> None:
    """Raise NothingToPay or TotalTooLarge for what no gateway charges."""
    total_minor = made.total_minor
    if total_minor == 0:
        raise NothingToPay(
            "Discounts leave nothing to pay: leave one out, or add goods.", field="discount_codes"
        )
    if total_minor > AMOUNT_MINOR_MAX:
        raise TotalTooLarge(
            f"The total of {total_minor} is over {AMOUNT_MINOR_MAX} minor units: split the order.",
            field="lines",
        )


def _best(
    goods: Mapping[str, int], shipping_minor: int, discounts: Iterable[Discount]
) -> tuple[tuple[Applied, ...], _Tally]:
    ordered = sorted(discounts, key=_turn)
    together = [d for d in ordered if d.combines]
    choices = [together, *([d] for d in ordered if not d.combines)]
    tried = [_given(goods, shipping_minor, choice) for choice in choices]
    return max(tried, key=lambda given: sum(a.amount_minor for a in given[0]))


def _turn(discount: Discount) -> tuple[int, str]:
    return list(DiscountKind).index(discount.kind), str(discount.id)


def _given(
    goods: Mapping[str, int], shipping_minor: int, discounts: Collection[Discount]
) -> tuple[tuple[Applied, ...], _Tally]:
    tally = _Tally(dict(goods), shipping_minor)
    taken = [Applied(discount, tally.take(discount)) for discount in discounts]
    return tuple(a for a in taken if a.amount_minor), tally


def _eligible(discount: Discount, left: Mapping[str, int]) -> dict[str, int]:
    if discount.skus is None:
        return dict(left)
    return {sku: amount for sku, amount in left.items() if sku in discount.skus}


def _off(discount: Discount, whole: int) -> int:
    if discount.kind is DiscountKind.FIXED:
        return min(discount.value, whole)
    return (2 * whole * discount.value + BASIS_POINTS) // (2 * BASIS_POINTS)


def _taxed(amounts: Mapping[str, int], rates: Mapping[str, Rate]) -> dict[str, int]:
    taxed: dict[str, int] = {}
    for rate in set(rates.values()):
        of_rate = {name: amounts[name] for name in amounts if rates[name] == rate}
        due = tax(sum(of_rate.values()), rate)
        taxed |= apportion(due, of_rate)
    return taxed
