"""Products over HTTP: those that are public for everybody, all of them for staff."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, cast
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, cached, conditional, pages
from api.authentication import Asked
from api.fields import CurrencyInQuery, SlugInPath, SlugInQuery
from api.openapi import answered
from api.problems import Forbidden
from db import categories, edges, invalidations, products, showcase
from db.cache import SHORT_S, Read
from db.engine import name_commit, reading
from db.invalidations import CATALOGUE
from db.products import Filter
from db.showcase import ShownVariant
from domain.principal import writes_catalogue
from domain.product import Product, ProductContent, ProductStatus
from domain.refusal import NotFound
from ops.telemetry.faultpoint import Commit

PRODUCT, LIST = cached.pages("product"), cached.pages("products")


class ProductView(Product, frozen=True, kw_only=True):
    """A product with its variants at the prices of now."""

    variants: list[ShownVariant]


class ProductPage(msgspec.Struct, frozen=True):
    """Products, newest first; the Link header names the next page."""

    products: list[ProductView]


@get("")
async def list_products(  # noqa: PLR0913, PLR0917 - one parameter per filter
    request: Asked,
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
    before = None if cursor is None else pages.decode(cursor)
    read = partial(_list, request, _Asked(category, status, currency, before, limit, public))
    if public:
        # All that is public is active.
        key = f"{category or ''}:{currency or ''}:{cursor or ''}:{limit}"
        return await cached.show(request, LIST, key, read)
    async with reading(request.app.state.database) as tx:
        found = await read(tx)
    return Response(cast("ProductPage", found.value), headers=found.headers)


class _Asked(msgspec.Struct, frozen=True):
    category: str | None
    status: ProductStatus | None
    currency: str | None
    before: UUID | None
    limit: int
    public: bool


async def _list(request: Asked, asked: _Asked, tx: AsyncConnection) -> Read[ProductPage]:
    below = None if asked.category is None else await categories.below(tx, asked.category)
    wanted = Filter(asked.public, asked.status, below)
    found = await products.page(tx, wanted, before=asked.before, limit=asked.limit + 1)
    shown = [product for _, product in found[: asked.limit]]
    slugs = [product.slug for product in shown]
    of = await showcase.page(tx, slugs, currency=asked.currency, public=asked.public)
    more = len(found) > asked.limit
    headers = pages.link(request, found[asked.limit - 1][0]) if more else {}
    return Read(
        ProductPage([_view(p, of[p.slug]) for p in shown]),
        frozenset({CATALOGUE, "products", "variants", "categories", "prices"}),
        min(SHORT_S, await edges.of_products(tx, slugs)),
        headers,
    )


@get("/{slug:str}")
async def get_product(
    request: Asked, slug: SlugInPath, currency: CurrencyInQuery = None
) -> Response[ProductView]:
    """Read a product with its variants; without a `currency` each has the price of its own."""
    public = not writes_catalogue(request.user)
    read = partial(_find, slug, currency, public)
    absent = f"There is no product {slug}."
    if public:
        key = f"{slug}:{currency or ''}"
        return await cached.show(request, PRODUCT, key, read, absent=absent)
    async with reading(request.app.state.database) as tx:
        found = (await read(tx)).value
    if found is None:
        raise NotFound(absent)
    return conditional.show(request, found, version=found.version, parts=found.variants)


async def _find(
    slug: str,
    currency: str | None,
    public: bool,  # noqa: FBT001 - it is bound, not called
    tx: AsyncConnection,
) -> Read[ProductView]:
    found = await products.find(tx, slug, public=public)
    tags = {CATALOGUE, "prices", f"product:{slug}"}
    if found is None:
        return Read(None, frozenset(tags), await edges.of_products(tx, [slug]))
    variants = (await showcase.page(tx, [slug], currency=currency, public=public))[slug]
    skus = [variant.sku for variant in variants]
    return Read(
        _view(found, variants),
        frozenset(tags | {f"variant:{sku}" for sku in skus} | {f"stock:{sku}" for sku in skus}),
        min(SHORT_S, await edges.of_products(tx, [slug])),
    )


@put(
    "/{slug:str}",
    responses={HTTPStatus.CREATED: answered(Product, "Created.")},
)
async def put_product(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    slug: SlugInPath,
    data: JSONBody[ProductContent],
) -> Response[Product]:
    """Create or replace a product, or bring a deleted one back with its variants."""
    name_commit(tx, Commit.PRODUCT)
    version = await products.lock(tx, slug)
    was = await products.find(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    stored = await products.put(tx, slug, data)
    if stored.version > version + 1:
        # An import has just created it. If that is not what was wanted, nothing is committed.
        conditional.check(request, version=stored.version - 1)
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
