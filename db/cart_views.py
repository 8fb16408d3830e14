"""Carts as they are shown: priced and counted anew at each view, against what was seen last."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import cart_lines, carts, offers, redemptions, stock, terms
from db.carts import Cart
from db.engine import fetch
from db.orders import AppliedDiscount
from db.terms import SETUP, Asked, Setup
from domain.cart import KEEP_DAYS, CartLine, CartState, Kept
from domain.cart import show as show_line
from domain.discount import Discount, DiscountNotApplicable
from domain.pricing import Position, Quote
from domain.redemption import Customer
from domain.refusal import Refusal
from domain.tax import Region, TaxClass, TaxTable
from domain.terms import Buyer, Terms, quoted
from domain.variant import Offer


class Eyes(msgspec.Struct, frozen=True):
    """For whom a cart is shown; without a region, shipping and taxes are not known yet."""

    user_id: UUID | None = None
    region: Region | None = None
    tax_included: bool = False


class CodeView(msgspec.Struct, frozen=True):
    """A code in a cart, and why it does not count, if it does not."""

    code: str
    problem: str | None
    detail: str | None


class CartView(msgspec.Struct, frozen=True):
    """A cart at today's prices; `order_id` is what was made of it.

    Lines that are not for sale cost nothing, and cannot be ordered. `total_minor` is what an
    order would cost; as long as no country is named, without shipping and taxes.
    """

    id: UUID
    state: CartState
    currency: str
    lines: list[CartLine]
    codes: list[CodeView]
    discounts: list[AppliedDiscount]
    goods_minor: int
    discount_minor: int
    shipping_minor: int | None
    tax_minor: int | None
    tax_included: bool
    total_minor: int
    version: int
    order_id: UUID | None
    expires_at: datetime


class _Clock(msgspec.Struct):
    now: datetime
    taxes: bool
    shipping: bool
    automatic: bool


class _Shown(msgspec.Struct):
    lines: list[CartLine]
    quote: Quote
    refused: Mapping[str, Refusal]


async def get(tx: AsyncConnection, cart: Cart, eyes: Eyes) -> CartView:
    """Read a cart as it would be shown now."""
    return _view(cart, await _shown(tx, cart, await cart_lines.page(tx, cart.id), eyes), eyes)


async def show(tx: AsyncConnection, cart: Cart, eyes: Eyes) -> CartView:
    """Show a cart, and note what is shown: the next view tells what changed since.

    A change that is told for the first time counts as one of the cart, whose version goes on.
    """
    kept = await cart_lines.page(tx, cart.id)
    shown = await _shown(tx, cart, kept, eyes)
    if cart.state == CartState.OPEN:
        cart = await _noted(tx, cart, kept, shown.lines)
    return _view(cart, shown, eyes)


async def _shown(tx: AsyncConnection, cart: Cart, kept: Sequence[Kept], eyes: Eyes) -> _Shown:
    skus = [line.sku for line in kept]
    found = await offers.find_many(tx, [(sku, cart.currency) for sku in skus])
    available = await stock.available(tx, skus)
    lines = [
        show_line(line, found.get((line.sku, cart.currency)), available=available.get(line.sku, 0))
        for line in kept
    ]
    return _Shown(lines, *await _quoted(tx, cart, _positions(lines, found), eyes))


def _positions(lines: Sequence[CartLine], found: Mapping[tuple[str, str], Offer]) -> list[Position]:
    classes = {offer.sku: TaxClass(offer.tax_class) for offer in found.values()}
    return [
        Position(line.sku, line.quantity, line.unit_minor, classes[line.sku])
        for line in lines
        if line.unit_minor is not None
    ]


async def _quoted(
    tx: AsyncConnection, cart: Cart, positions: Sequence[Position], eyes: Eyes
) -> tuple[Quote, Mapping[str, Refusal]]:
    [clock] = await fetch(tx, _Clock, f"SELECT now(), {SETUP}", {})
    there = Setup(clock.taxes, clock.shipping, clock.automatic)
    found = Terms(TaxTable({}, included=eyes.tax_included))
    if there.any or cart.codes:
        countries = () if eyes.region is None else (eyes.region.country,)
        asked = Asked(cart.codes, countries, (cart.currency,))
        found = await terms.read(tx, there, asked, tax_included=eyes.tax_included, hold=False)
    customer = Customer(eyes.user_id, None)
    uses = await redemptions.peek(tx, [(d, customer) for d in found.for_codes(cart.codes)])

    def has_room(discount: Discount) -> bool:
        return uses.has_room(discount, customer)

    made, refused = quoted(
        found, positions, Buyer(cart.currency, cart.codes, eyes.region, clock.now), has_room
    )
    return made, {**refused, **_outdone(cart.codes, found, made, refused)}


def _outdone(
    codes: Sequence[str], found: Terms, made: Quote, refused: Collection[str]
) -> Mapping[str, Refusal]:
    """Say of codes that would count by themselves that more is given without them."""
    given = [applied.discount for applied in made.applied]
    together = all(discount.combines for discount in given)
    left_out = (
        found.codes[code]
        for code in codes
        if given and code not in refused and found.codes[code] not in given
    )
    return {
        str(discount.code): DiscountNotApplicable(
            f"{discount.code} does not go with the discounts that are given, which save more.",
            field="discount_codes",
        )
        for discount in left_out
        if not (discount.combines and together)
    }


def _view(cart: Cart, shown: _Shown, eyes: Eyes) -> CartView:
    quote, is_shipped = shown.quote, eyes.region is not None
    return CartView(
        id=cart.id,
        state=CartState(cart.state),
        currency=cart.currency,
        lines=shown.lines,
        codes=[_code(code, shown.refused.get(code)) for code in cart.codes],
        discounts=[
            AppliedDiscount(a.discount.slug, a.discount.code, a.amount_minor) for a in quote.applied
        ],
        goods_minor=quote.goods_minor,
        discount_minor=quote.discount_minor,
        shipping_minor=quote.shipping_minor if is_shipped else None,
        tax_minor=quote.tax_minor if is_shipped else None,
        tax_included=quote.tax_included,
        total_minor=quote.total_minor,
        version=cart.version,
        order_id=cart.order_id,
        expires_at=cart.updated_at + timedelta(days=KEEP_DAYS),
    )


def _code(code: str, refusal: Refusal | None) -> CodeView:
    if refusal is None:
        return CodeView(code, None, None)
    return CodeView(code, refusal.code, refusal.detail)


async def _noted(
    tx: AsyncConnection, cart: Cart, kept: Sequence[Kept], shown: Sequence[CartLine]
) -> Cart:
    seen = [
        Kept(
            s.sku,
            s.quantity,
            k.seen_minor if s.unit_minor is None else s.unit_minor,
            s.availability,
        )
        for k, s in zip(kept, shown, strict=True)
    ]
    if cart.idle or any(line.changes for line in shown):
        cart = await carts.bump(tx, cart)
    if seen != list(kept):
        await cart_lines.see(tx, cart, seen)
    return cart
