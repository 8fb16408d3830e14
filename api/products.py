"""Products over HTTP: those that are public for everybody, all of them for staff."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional, pages
from api.authentication import Asked
from api.fields import CurrencyInQuery, SlugInPath, SlugInQuery
from api.problems import Forbidden
from db import categories, invalidations, products, showcase
from db.engine import name_commit
from db.products import Filter
from db.showcase import ShownVariant
from domain.principal import writes_catalogue
from domain.product import Product, ProductContent, ProductStatus
from domain.refusal import NotFound
from ops.telemetry.faultpoint import Commit


class ProductView(Product, frozen=True, kw_only=True):
    """A product with its variants at the prices of now."""

    variants: list[ShownVariant]


class ProductPage(msgspec.Struct, frozen=True):
    """Products, newest first; the Link header names the next page."""

    products: list[ProductView]


@get("")
async def list_products(  # noqa: PLR0913, PLR0917 - one parameter per filter
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    category: SlugInQuery = None,
    status: Annotated[ProductStatus | None, QueryParameter(description="for staff")] = None,
    currency: CurrencyInQuery = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> Response[ProductPage]:
    """List products, newest first: of a category and all below it, or of a status."""
    public = not writes_catalogue(request.user)
    if public and status not in {None, ProductStatus.ACTIVE}:
        raise Forbidden("Only staff sees products that are not active.", field="status")
    below = None if category is None else await categories.below(tx, category)
    before = None if cursor is None else pages.decode(cursor)
    wanted = Filter(public, status, below)
    found = await products.page(tx, wanted, before=before, limit=limit + 1)
    shown = [product for _, product in found[:limit]]
    of = await showcase.page(tx, [p.slug for p in shown], currency=currency, public=public)
    headers = pages.link(request, found[limit - 1][0]) if len(found) > limit else {}
    return Response(ProductPage([_view(p, of[p.slug]) for p in shown]), headers=headers)


@get("/{slug:str}")
async def get_product(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    slug: SlugInPath,
    currency: CurrencyInQuery = None,
) -> Response[ProductView]:
    """Read a product with its variants; without a `currency` each has the price of its own."""
    public = not writes_catalogue(request.user)
    found = await products.find(tx, slug, public=public)
    if found is None:
        raise NotFound(f"There is no product {slug}.")
    variants = await showcase.page(tx, [slug], currency=currency, public=public)
    view = _view(found, variants[slug])
    return conditional.show(request, view, version=found.version, parts=view.variants)


@put(
    "/{slug:str}",
    responses={HTTPStatus.CREATED: ResponseSpec(Product, description="Created.")},
)
async def put_product(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    slug: SlugInPath,
    data: JSONBody[ProductContent],
) -> Response[Product]:
    """Create or replace a product, or bring a deleted one back with its variants."""
    name_commit(tx, Commit.PRODUCT)
    await products.lock(tx, slug)
    was = await products.find(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    stored = await products.put(tx, slug, data)
    await audit.record(tx, request, "product.put", slug, before=was, after=stored)
    await _touch(tx, slug)
    answer = conditional.show(request, stored, version=stored.version)
    answer.status_code = HTTPStatus.CREATED if was is None else HTTPStatus.OK
    return answer


@delete("/{slug:str}", status_code=HTTPStatus.NO_CONTENT)
async def delete_product(
    request: Asked, tx: NamedDependency[AsyncConnection], slug: SlugInPath
) -> None:
    """Delete a product, whose variants are then not for sale; again is the same."""
    name_commit(tx, Commit.PRODUCT)
    await products.lock(tx, slug)
    was = await products.find(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    if was is not None:
        await products.delete(tx, slug)
        await audit.record(tx, request, "product.delete", slug, before=was)
        await _touch(tx, slug)


async def _touch(tx: AsyncConnection, slug: str) -> None:
    """Have caches forget a product and, as they are hidden or shown with it, its variants."""
    skus = await products.skus(tx, slug)
    await invalidations.touch(tx, [f"product:{slug}", *(f"variant:{sku}" for sku in skus)])


def _view(product: Product, variants: list[ShownVariant]) -> ProductView:
    return ProductView(**msgspec.structs.asdict(product), variants=variants)


router = Router(
    "/v1/products",
    route_handlers=[list_products, get_product, put_product, delete_product],
    tags=["catalogue"],
)
