"""Categories over HTTP: the tree for everybody, its shape for staff."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional
from api.authentication import Asked
from api.fields import SlugInPath
from db import categories
from db.categories import Category
from db.engine import name_commit
from domain.catalogue import Slug
from domain.refusal import NotFound
from domain.text import Text
from ops.telemetry.faultpoint import Commit

RANK_MAX = 1_000_000


class Tree(msgspec.Struct, frozen=True):
    """All categories: parents before children, siblings in their order."""

    categories: list[Category]


class PutCategory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A category; without a `parent`, a slug, it is at the top. Siblings are in order of `rank`."""

    name: Text
    parent: Slug | None = None
    rank: Annotated[int, Meta(ge=0, le=RANK_MAX)] = 0


@get("")
async def list_categories(tx: NamedDependency[AsyncConnection]) -> Tree:
    """Read the whole tree."""
    return Tree(await categories.page(tx))


@get("/{slug:str}")
async def get_category(
    request: Request[Any, Any, Any], tx: NamedDependency[AsyncConnection], slug: SlugInPath
) -> Response[Category]:
    """Read a category."""
    found = await categories.find(tx, slug)
    if found is None:
        raise NotFound(f"There is no category {slug}.")
    return conditional.show(request, found, version=found.version)


@put(
    "/{slug:str}",
    responses={HTTPStatus.CREATED: ResponseSpec(Category, description="Created.")},
)
async def put_category(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    slug: SlugInPath,
    data: JSONBody[PutCategory],
) -> Response[Category]:
    """Create, rename or move a category; what is below it moves along."""
    name_commit(tx, Commit.CATEGORY)
    was = await categories.find(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    stored = await categories.put(tx, Category(slug, data.name, data.parent, data.rank, version=0))
    # Somebody may have been faster. Then nothing is committed.
    conditional.check(request, version=None if was is None else stored.version - 1)
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
