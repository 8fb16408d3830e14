"""Price lists over HTTP: read and put by staff; customers see the prices that come of them."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional, pages
from api.authentication import Asked
from api.openapi import answered
from db import invalidations, price_lists
from db.engine import name_commit
from domain.catalogue import A_SLUG, SLUG, SLUG_CHARS_MAX
from domain.price_list import PriceList, PriceListContent
from domain.refusal import NotFound
from ops.telemetry.faultpoint import Commit

ListInPath = Annotated[
    str, PathParameter(pattern=SLUG, max_length=SLUG_CHARS_MAX, description=A_SLUG)
]


class PriceListPage(msgspec.Struct, frozen=True):
    """Price lists, newest first; the Link header names the next page."""

    price_lists: list[PriceList]


@get("")
async def list_price_lists(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[PriceListPage]:
    """List price lists, newest first."""
    before = None if cursor is None else pages.decode(cursor)
    found = await price_lists.page(tx, before=before, limit=limit + 1)
    headers = pages.link(request, found[limit - 1][0]) if len(found) > limit else {}
    return Response(PriceListPage([each for _, each in found[:limit]]), headers=headers)


@get("/{price_list:str}")
async def get_price_list(
    request: Asked, tx: NamedDependency[AsyncConnection], price_list: ListInPath
) -> Response[PriceList]:
    """Read a price list without its entries; its version counts their changes, too."""
    found = await price_lists.find(tx, price_list)
    if found is None:
        raise NotFound(f"There is no price list {price_list}.")
    return conditional.show(request, found, version=found.version)


@put(
    "/{price_list:str}",
    responses={HTTPStatus.CREATED: answered(PriceList, "Created.")},
)
async def put_price_list(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    price_list: ListInPath,
    data: JSONBody[PriceListContent],
) -> Response[PriceList]:
    """Create or replace a list, or bring a deleted one back with its entries."""
    name_commit(tx, Commit.PRICE_LIST)
    await price_lists.lock(tx, price_list)
    was = await price_lists.find(tx, price_list)
    conditional.check(request, version=None if was is None else was.version)
    stored = await price_lists.put(tx, price_list, data)
    # Its entries may have been changed meanwhile. Then nothing is committed.
    conditional.check(request, version=None if was is None else stored.version - 1)
    await audit.record(tx, request, "price_list.put", price_list, before=was, after=stored)
    await invalidations.touch(tx, ["prices"])
    answer = conditional.show(request, stored, version=stored.version)
    answer.status_code = HTTPStatus.CREATED if was is None else HTTPStatus.OK
    return answer


@delete("/{price_list:str}", status_code=HTTPStatus.NO_CONTENT)
async def delete_price_list(
    request: Asked, tx: NamedDependency[AsyncConnection], price_list: ListInPath
) -> None:
    """Delete a list, which then does not count any more; again is the same."""
    name_commit(tx, Commit.PRICE_LIST)
    await price_lists.lock(tx, price_list)
    was = await price_lists.find(tx, price_list)
    conditional.check(request, version=None if was is None else was.version)
    if was is not None:
        await price_lists.delete(tx, price_list)
        await audit.record(tx, request, "price_list.delete", price_list, before=was)
        await invalidations.touch(tx, ["prices"])


router = Router(
    "/v1/price-lists",
    route_handlers=[list_price_lists, get_price_list, put_price_list, delete_price_list],
    tags=["catalogue"],
)
