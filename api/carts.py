"""Carts over HTTP: of an account, or of whoever sends the token that came when it was opened."""

import logging
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api import conditional
from api.authentication import Asked
from api.openapi import answered
from api.problems import Forbidden
from db import cart_lines, cart_views, carts
from db.cart_views import CartView, Eyes
from db.carts import Cart, Holder
from db.engine import name_commit, transaction
from domain.country import Country
from domain.money import Currency
from domain.refusal import Refusal
from domain.tax import Region
from domain.terms import region_at
from ops.config import Settings
from ops.telemetry.faultpoint import Commit

log = logging.getLogger(__name__)

TOKEN_HEADER = "Cart-Token"  # noqa: S105 - the name of it
_ABOUT_TOKEN = "What came in this header when the cart was opened; accounts need none."  # noqa: S105 - as above


CountryInQuery = Annotated[
    Country | None,
    QueryParameter(description="a country code of ISO 3166-1 in capitals, e.g. GB"),
]
RegionInQuery = Annotated[str | None, QueryParameter(min_length=1, max_length=200)]


class OpenCart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a cart is opened in."""

    currency: Currency


CartToken = Annotated[str | None, HeaderParameter(name=TOKEN_HEADER, description=_ABOUT_TOKEN)]


async def provide_holder(request: Asked, cart_token: CartToken = None) -> Holder:
    """Say who asks for a cart.

    It refuses nothing: a transaction that was opened beside it would stay open.
    """
    return carts.holder(request.user.user_id, cart_token)


@post(
    "",
    status_code=HTTPStatus.CREATED,
    responses={HTTPStatus.OK: answered(CartView, "It was open already.")},
)
async def open_cart(
    request: Asked, tx: NamedDependency[AsyncConnection], data: JSONBody[OpenCart]
) -> Response[CartView]:
    """Open a cart; guests get its token in `Cart-Token`.

    An account has one, and gets that; it stays in its currency as long as there is something in it.
    """
    name_commit(tx, Commit.CART)
    token, made, user_id = None, True, request.user.user_id
    if user_id is None:
        cart_id, token = await carts.insert(tx, data.currency)
        cart = await carts.get(tx, cart_id, carts.holder(None, token))
    else:
        found, made = await carts.open_for(tx, user_id, data.currency)
        cart = await cart_lines.in_currency(tx, found, data.currency)
    answer = await show(request, tx, cart)
    answer.status_code = HTTPStatus.CREATED if made else HTTPStatus.OK
    answer.headers["Location"] = f"/v1/carts/{cart.id}"
    if token is not None:
        answer.headers[TOKEN_HEADER] = token
    return answer


@get("/mine")
async def get_my_cart(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    country: CountryInQuery = None,
    region: RegionInQuery = None,
) -> Response[CartView]:
    """Look at the open cart of one's account."""
    name_commit(tx, Commit.CART)
    mine = await carts.get_open(tx, _account(request))
    return await show(request, tx, mine, _region(country, region))


@get("/{cart_id:uuid}")
async def get_cart(  # noqa: PLR0913, PLR0917 - who, where and whereto
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    holder: NamedDependency[Holder],
    cart_id: FromPath[UUID],
    country: CountryInQuery = None,
    region: RegionInQuery = None,
) -> Response[CartView]:
    """Look at a cart at today's prices; `changes` of a line are those since it was shown last.

    With the country, and where it matters the region, of the address it tells shipping and taxes.
    """
    name_commit(tx, Commit.CART)
    cart = await carts.get(tx, cart_id, holder)
    return await show(request, tx, cart, _region(country, region))


@post("/{cart_id:uuid}/merge", status_code=HTTPStatus.OK)
async def merge_cart(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    holder: NamedDependency[Holder],
    cart_id: FromPath[UUID],
) -> Response[CartView]:
    """Take a guest's cart into that of one's account, after the login; again is the same.

    Of a SKU in both the larger quantity is meant. The guest's cart is closed.
    """
    name_commit(tx, Commit.CART)
    user_id = _account(request)
    into = await cart_lines.merge(tx, cart_id, holder, user_id)
    return await show(request, tx, await carts.get(tx, into, Holder(user_id)))


async def show(
    request: Asked, tx: AsyncConnection, cart: Cart, region: Region | None = None
) -> Response[CartView]:
    """Answer with a cart as it is now; its tag is of the version, so it is never 304."""
    settings: Settings = request.app.state.settings
    eyes = Eyes(request.user.user_id, region, settings.prices_include_tax)
    view = await cart_views.show(tx, cart, eyes)
    return Response(view, headers={"ETag": conditional.etag(view.version)})


async def bring(request: Asked, user_id: UUID, token: str) -> None:
    """Take a guest's cart along to the account they just logged in to.

    Nobody is kept out for a cart: one that cannot be brought can be merged later.
    """
    cart_id = carts.named(token)
    if cart_id is None:
        return
    try:
        async with transaction(request.app.state.database) as tx:
            name_commit(tx, Commit.CART)
            await cart_lines.merge(tx, cart_id, carts.holder(user_id, token), user_id)
    except Refusal as refusal:
        log.info("A cart was not brought along at the login: %s", refusal.code)


def _region(country: str | None, region: str | None) -> Region | None:
    return None if country is None else region_at(country, region)


def _account(request: Asked) -> UUID:
    if request.user.user_id is None:
        raise Forbidden("Log in: only accounts have a cart of their own.")
    return request.user.user_id


router = Router(
    "/v1/carts",
    dependencies={"holder": Provide(provide_holder)},
    route_handlers=[
        open_cart,
        get_my_cart,
        get_cart,
        merge_cart,
    ],
    tags=["carts"],
)
