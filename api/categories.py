"""Categories over HTTP: the tree for everybody, its shape for staff."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, cached, conditional
from api.authentication import Asked
from api.fields import SlugInPath
from api.openapi import answered
from db import categories
from db.cache import Read
from db.categories import Category
from db.engine import name_commit, reading
from db.invalidations import CATALOGUE
from domain.catalogue import Slug
from domain.principal import writes_catalogue
from domain.refusal import NotFound
from domain.text import Text
from ops.telemetry.faultpoint import Commit

RANK_MAX = 1_000_000

TREE = cached.pages("categories", control=cached.MAY_LAG)
CATEGORY = cached.pages("category")


class Tree(msgspec.Struct, frozen=True):
    """All categories: parents before children, siblings in their order."""

    categories: list[Category]


class PutCategory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A category; without a `parent`, a slug, it is at the top. Siblings are in order of `rank`."""

    name: Text
    parent: Slug | None = None
    rank: Annotated[int, Meta(ge=0, le=RANK_MAX)] = 0


@get("")
async def list_categories(request: Asked) -> Response[Tree]:
    """Read the whole tree."""
    if not writes_catalogue(request.user):
        return await cached.show(request, TREE, "", _read_tree)
    async with reading(request.app.state.database) as tx:
        return Response(Tree(await categories.page(tx)))


async def _read_tree(tx: AsyncConnection) -> Read[Tree]:
    return Read(Tree(await categories.page(tx)), frozenset({CATALOGUE, "categories"}))


@get("/{slug:str}")
async def get_category(request: Asked, slug: SlugInPath) -> Response[Category]:
    """Read a category."""
    absent = f"There is no category {slug}."
    if not writes_catalogue(request.user):
        return await cached.show(request, CATEGORY, slug, partial(_read, slug), absent=absent)
    async with reading(request.app.state.database) as tx:
        found = await categories.find(tx, slug)
    if found is None:
        raise NotFound(absent)
    return conditional.show(request, found, version=found.version)


async def _read(slug: str, tx: AsyncConnection) -> Read[Category]:
    return Read(await categories.find(tx, slug), frozenset({CATALOGUE, f"category:{slug}"}))


@put(
    "/{slug:str}",
    responses={HTTPStatus.CREATED: answered(Category, "Created.")},
)
async def put_category(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    slug: SlugInPath,
    data: JSONBody[PutCategory],
) -> Response[Category]:
    """Create, rename or move a category; what is below it moves along."""
    name_commit(tx, Commit.CATEGORY)
    await categories.lock(tx)
    was = await categories.find(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    stored = await categories.put(tx, Category(slug, data.name, data.parent, data.rank, version=0))
    await audit.record(tx, request, "category.put", slug, before=was, after=stored)
    answer = conditional.show(request, stored, version=stored.version)
    answer.status_code = HTTPStatus.CREATED if was is None else HTTPStatus.OK
    return answer


@delete("/{slug:str}", status_code=HTTPStatus.NO_CONTENT)
async def delete_category(
    request: Asked, tx: NamedDependency[AsyncConnection], slug: SlugInPath
) -> None:
    """Delete a category in which there is nothing; again is the same."""
    name_commit(tx, Commit.CATEGORY)
    was = await categories.delete(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    if was is not None:
        await audit.record(tx, request, "category.delete", slug, before=was)


router = Router(
    "/v1/categories",
    route_handlers=[list_categories, get_category, put_category, delete_category],
    tags=["catalogue"],
)
