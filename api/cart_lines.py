"""What is in carts, over HTTP: lines and codes put, added and taken out."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import conditional
from api.authentication import Asked
from api.carts import provide_holder, show
from api.fields import DiscountCodeInPath, SkuInPath
from db import cart_lines, carts, discounts, offers
from db.cart_views import CartView
from db.carts import Cart, Holder
from db.engine import name_commit
from domain.cart import QUANTITY_MAX, refuse_codes
from domain.catalogue import Sku
from domain.discount import normal
from domain.refusal import Refusal
from domain.variant import Item, price
from ops.telemetry.faultpoint import Commit

Quantity = Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]


class AddLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many more of a SKU."""

    sku: Sku
    quantity: Quantity = 1


class PutLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many of a SKU, however many there were."""

    quantity: Quantity


@post("/{cart_id:uuid}/lines", status_code=HTTPStatus.OK)
async def add_line(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    holder: NamedDependency[Holder],
    cart_id: FromPath[UUID],
    data: JSONBody[AddLine],
) -> Response[CartView]:
    """Add to a cart. Sent twice it adds twice, unless If-Match names the version one saw."""
    name_commit(tx, Commit.CART)
    cart = await _locked(request, tx, holder, cart_id)
    await _refuse_unsold(tx, cart, data.sku)
    await cart_lines.add(tx, cart, data.sku, data.quantity)
    return await show(request, tx, await carts.bump(tx, cart))


@put("/{cart_id:uuid}/lines/{sku:str}")
async def put_line(  # noqa: PLR0913, PLR0917 - who, where and what
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    holder: NamedDependency[Holder],
    cart_id: FromPath[UUID],
    sku: SkuInPath,
    data: JSONBody[PutLine],
) -> Response[CartView]:
    """Have so many of a SKU in a cart; again is the same."""
    name_commit(tx, Commit.CART)
    cart = await _locked(request, tx, holder, cart_id)
    await _refuse_unsold(tx, cart, sku)
    await cart_lines.put(tx, cart, sku, data.quantity)
    return await show(request, tx, await carts.bump(tx, cart))


@delete("/{cart_id:uuid}/lines/{sku:str}", status_code=HTTPStatus.OK)
async def delete_line(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    holder: NamedDependency[Holder],
    cart_id: FromPath[UUID],
    sku: SkuInPath,
) -> Response[CartView]:
    """Take a SKU out of a cart; again is the same."""
    name_commit(tx, Commit.CART)
    return await _without(request, tx, holder, cart_id, sku)


@delete("/{cart_id:uuid}/lines", status_code=HTTPStatus.OK)
async def clear_cart(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    holder: NamedDependency[Holder],
    cart_id: FromPath[UUID],
) -> Response[CartView]:
    """Take everything out of a cart; again is the same."""
    name_commit(tx, Commit.CART)
    return await _without(request, tx, holder, cart_id, None)


@put("/{cart_id:uuid}/codes/{code:str}")
async def put_code(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    holder: NamedDependency[Holder],
    cart_id: FromPath[UUID],
    code: DiscountCodeInPath,
) -> Response[CartView]:
    """Put a code of a discount into a cart; again is the same. One that nothing has is refused.

    Whether it counts may change with the cart: `codes` tells.
    """
    name_commit(tx, Commit.CART)
    cart = await _locked(request, tx, holder, cart_id)
    name = normal(code)
    if name not in cart.codes:
        await discounts.refuse_unknown(tx, name)
        refuse_codes(len(cart.codes) + 1)
        cart = await carts.bump(tx, cart, [*cart.codes, name])
    return await show(request, tx, cart)


@delete("/{cart_id:uuid}/codes/{code:str}", status_code=HTTPStatus.OK)
async def delete_code(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    holder: NamedDependency[Holder],
    cart_id: FromPath[UUID],
    code: DiscountCodeInPath,
) -> Response[CartView]:
    """Take a code out of a cart; again is the same."""
    name_commit(tx, Commit.CART)
    cart = await _locked(request, tx, holder, cart_id)
    left = [each for each in cart.codes if each != normal(code)]
    if left != cart.codes:
        cart = await carts.bump(tx, cart, left)
    return await show(request, tx, cart)


async def _without(
    request: Asked, tx: AsyncConnection, holder: Holder, cart_id: UUID, sku: str | None
) -> Response[CartView]:
    cart = await _locked(request, tx, holder, cart_id)
    if await cart_lines.delete(tx, cart, sku):
        cart = await carts.bump(tx, cart)
    return await show(request, tx, cart)


async def _locked(request: Asked, tx: AsyncConnection, holder: Holder, cart_id: UUID) -> Cart:
    cart = await carts.lock(tx, cart_id, holder)
    conditional.check(request, version=cart.version)
    return cart


async def _refuse_unsold(tx: AsyncConnection, cart: Cart, sku: str) -> None:
    """Take into a cart what an order could be of, as an order would."""
    found = await offers.find_many(tx, [(sku, cart.currency)])
    try:
        price([Item(sku, 1)], found, cart.currency)
    except Refusal as refusal:
        refusal.field = "sku"
        raise


router = Router(
    "/v1/carts",
    dependencies={"holder": Provide(provide_holder)},
    route_handlers=[add_line, put_line, delete_line, clear_cart, put_code, delete_code],
    tags=["carts"],
)
