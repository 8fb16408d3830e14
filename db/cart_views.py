"""Carts as they are shown: priced and counted anew at each view, against what was seen last."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import cart_lines, carts, offers, stock
from db.carts import Cart
from domain.cart import KEEP_DAYS, CartLine, CartState, Kept
from domain.cart import show as show_line


class CartView(msgspec.Struct, frozen=True):
    """A cart at today's prices; `order_id` is what was made of it.

    Lines that are not for sale cost nothing, and cannot be ordered.
    """

    id: UUID
    state: CartState
    currency: str
    lines: list[CartLine]
    goods_minor: int
    version: int
    order_id: UUID | None
    expires_at: datetime


async def get(tx: AsyncConnection, cart: Cart) -> CartView:
    """Read a cart as it would be shown now."""
    return _view(cart, await _lines(tx, cart, await cart_lines.page(tx, cart.id)))


async def show(tx: AsyncConnection, cart: Cart) -> CartView:
    """Show a cart, and note what is shown: the next view tells what changed since.

    A change that is told for the first time counts as one of the cart, whose version goes on.
    """
    kept = await cart_lines.page(tx, cart.id)
    shown = await _lines(tx, cart, kept)
    if cart.state == CartState.OPEN:
        cart = await _noted(tx, cart, kept, shown)
    return _view(cart, shown)


async def _lines(tx: AsyncConnection, cart: Cart, kept: Sequence[Kept]) -> list[CartLine]:
    skus = [line.sku for line in kept]
    found = await offers.find_many(tx, [(sku, cart.currency) for sku in skus])
    available = await stock.available(tx, skus)
    return [
        show_line(line, found.get((line.sku, cart.currency)), available=available.get(line.sku, 0))
        for line in kept
    ]


def _view(cart: Cart, shown: list[CartLine]) -> CartView:
    return CartView(
        id=cart.id,
        state=CartState(cart.state),
        currency=cart.currency,
        lines=shown,
        goods_minor=sum(line.amount_minor for line in shown),
        version=cart.version,
        order_id=cart.order_id,
        expires_at=cart.updated_at + timedelta(days=KEEP_DAYS),
    )


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
