"""Checkouts: orders of what is in carts, which are locked, and closed with the order."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import cart_lines, carts
from db.carts import Cart, CartClaim
from db.placement import Placement
from domain.cart import CartChanged, CartEmpty, CartState, Kept, refuse_closed
from domain.refusal import Refusal
from domain.variant import Item


class Ordered(msgspec.Struct, frozen=True):
    """What was made of the cart before."""

    order_id: UUID


Ended = Mapping[UUID, Ordered | Refusal]


async def fill(
    tx: AsyncConnection, group: Sequence[Placement]
) -> tuple[Sequence[Placement], Ended]:
    """Put what is in carts into the placements that order them; others stay as they are.

    The carts stay locked until the transaction ends. Those placements whose cart cannot be
    ordered come with the reason, or with the order that was made of it, by their order id.
    """
    claims = [p.cart for p in group if p.cart is not None]
    if not claims:
        return group, {}
    locked = await carts.lock_many(tx, list({claim.id for claim in claims}))
    lines: dict[UUID, list[Kept]] = {}
    for cart_id, line in await cart_lines.page_many(tx, list(locked)):
        lines.setdefault(cart_id, []).append(line)
    filled, ended = list[Placement](), dict[UUID, Ordered | Refusal]()
    for placement in group:
        found: Placement | Ordered | Refusal = placement
        if placement.cart is not None:
            found = _filled(placement, placement.cart, locked, lines)
        if isinstance(found, Placement):
            filled.append(found)
        else:
            filled.append(placement)
            ended[placement.order_id] = found
    return filled, ended


def _filled(
    placement: Placement,
    claim: CartClaim,
    locked: Mapping[UUID, Cart],
    lines: Mapping[UUID, Sequence[Kept]],
) -> Placement | Ordered | Refusal:
    try:
        cart = carts.own([locked[claim.id]] if claim.id in locked else [], claim.id, claim.asker)
        if cart.order_id is not None:
            return Ordered(cart.order_id)
        refuse_closed(CartState(cart.state))
        if claim.versions is not None and cart.version not in claim.versions:
            raise CartChanged("The cart changed: look at it again.", field="If-Match")
        if cart.id not in lines:
            raise CartEmpty("There is nothing in the cart.")
    except Refusal as refusal:
        return refusal
    return msgspec.structs.replace(
        placement,
        currency=cart.currency,
        items=[Item(line.sku, line.quantity) for line in lines[cart.id]],
        codes=cart.codes,
    )
