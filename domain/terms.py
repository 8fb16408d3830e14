"""Terms: what an order costs beside its goods, as a shop has set it up."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from domain.address import Address
from domain.discount import Discount, DiscountUsedUp, UnknownCode, fits, refuse_unfit
from domain.pricing import Position, Quote, priced
from domain.refusal import Refusal
from domain.tax import Region, Taxes

# The country of a shipping rate for all countries that have none of their own.
ELSEWHERE = "*"
# Where goods go as long as nobody has said so; it is in no table.
NOWHERE = Region("")

HasRoom = Callable[[Discount], bool]


class ShippingRate(msgspec.Struct, frozen=True):
    """What shipping to a country costs; from `free_from_minor` of goods on, nothing."""

    country: str
    currency: str
    price_minor: int
    free_from_minor: int | None = None


class Terms(msgspec.Struct, frozen=True):
    """All of it; without any, an order costs what its goods do."""

    taxes: Taxes
    shipping: Mapping[tuple[str, str], ShippingRate] = {}
    codes: Mapping[str, Discount] = {}
    automatic: Sequence[Discount] = ()

    def for_codes(self, codes: Sequence[str]) -> list[Discount]:
        """Give the discounts that may be given to who names these codes."""
        return [*self.automatic, *(self.codes[code] for code in codes if code in self.codes)]

    def shipping_minor(self, country: str, currency: str, goods_minor: int) -> int:
        """Give the price of shipping; where nobody has set one, it is free."""
        found = (self.shipping.get((where, currency)) for where in (country, ELSEWHERE))
        rate = next((rate for rate in found if rate is not None), None)
        if rate is None:
            return 0
        free = rate.free_from_minor is not None and goods_minor >= rate.free_from_minor
        return 0 if free else rate.price_minor


class Buyer(msgspec.Struct, frozen=True):
    """What decides on terms beside the goods; without a region nothing is shipped yet."""

    currency: str
    codes: Sequence[str]
    region: Region | None
    now: datetime


def region_of(address: Address) -> Region:
    """Give the region by which an address is taxed."""
    return region_at(address.country, address.region)


def region_at(country: str, part: str | None) -> Region:
    """Give a region by its names, in whatever case."""
    return Region(country, (part or "").strip().upper() or None)


def quoted(
    terms: Terms, positions: Sequence[Position], buyer: Buyer, has_room: HasRoom
) -> tuple[Quote, Mapping[str, Refusal]]:
    """Price goods for somebody, and say why each code that does not count does not.

    An automatic discount that does not fit, or was given as often as it may be, is left out.
    """
    goods_minor = sum(position.amount_minor for position in positions)
    skus = [position.sku for position in positions]
    given, refused = list[Discount](), dict[str, Refusal]()
    for code in buyer.codes:
        try:
            given.append(_named(terms, code, skus, goods_minor, buyer, has_room))
        except Refusal as refusal:
            refused[code] = refusal
    for discount in terms.automatic:
        fit = fits(discount, skus, goods_minor, buyer.currency, now=buyer.now)
        if fit and has_room(discount):
            given.append(discount)
    shipping_minor = 0
    if buyer.region is not None and positions:
        shipping_minor = terms.shipping_minor(buyer.region.country, buyer.currency, goods_minor)
    made = priced(
        positions,
        given,
        shipping_minor=shipping_minor,
        region=buyer.region or NOWHERE,
        taxes=terms.taxes,
    )
    return made, refused


def _named(  # noqa: PLR0913, PLR0917 - what a code is held against
    terms: Terms,
    code: str,
    skus: Sequence[str],
    goods_minor: int,
    buyer: Buyer,
    has_room: HasRoom,
) -> Discount:
    discount = terms.codes.get(code)
    if discount is None:
        raise UnknownCode(f"There is no code {code}.", field="discount_codes")
    refuse_unfit(discount, skus, goods_minor, buyer.currency, now=buyer.now)
    if not has_room(discount):
        raise DiscountUsedUp(f"{code} was used as often as it may be.", field="discount_codes")
    return discount
