"""Entries of price lists over HTTP: one by one, or some thousand at once."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, delete, get, patch, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional, pages
from api.authentication import Asked
from api.fields import SkuInPath
from api.openapi import answered
from api.price_lists import ListInPath
from api.problems import InvalidRequest
from db import invalidations, price_entries, price_lists
from db.engine import name_commit
from db.price_entries import Changed
from domain.catalogue import A_SKU, SKU, SKU_CHARS_MAX, Sku
from domain.price_list import Entry, EntryContent, PriceList
from domain.refusal import NotFound
from domain.variant import Price, UnknownSku
from ops.telemetry.faultpoint import Commit

# As many as fit into a body at some hundred bytes each, and are written within a second.
ENTRIES_MAX = 5_000


class PutEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of a patch."""

    sku: Sku
    price_minor: Price
    compare_at_minor: Price | None = None


class PatchEntries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entries to be put and SKUs whose entries go; no SKU stands in it twice."""

    put: Annotated[list[PutEntry], Meta(max_length=ENTRIES_MAX)] = []
    delete: Annotated[list[Sku], Meta(max_length=ENTRIES_MAX)] = []


class EntryPage(msgspec.Struct, frozen=True):
    """Entries in the order of their SKUs; the Link header names the next page."""

    entries: list[Entry]


@get("")
async def list_entries(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    price_list: ListInPath,
    after: Annotated[
        str | None, QueryParameter(pattern=SKU, max_length=SKU_CHARS_MAX, description=A_SKU)
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> Response[EntryPage]:
    """List the entries of a list by SKU, from just behind the SKU `after` on."""
    await _get(tx, price_list)
    found = await price_entries.page(tx, price_list, after=after or "", limit=limit + 1)
    shown = found[:limit]
    headers = pages.link_after(request, shown[-1].sku) if len(found) > limit else {}
    return Response(EntryPage(shown), headers=headers)


@patch("")
async def patch_entries(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    price_list: ListInPath,
    data: JSONBody[PatchEntries],
) -> Response[PriceList]:
    """Put and delete many entries, all or none; If-Match goes by the version of the list."""
    _refuse_doubled([*(entry.sku for entry in data.put), *data.delete])
    name_commit(tx, Commit.PRICE_LIST)
    put = [Entry(e.sku, e.price_minor, e.compare_at_minor) for e in data.put]
    changed = await _change(tx, request, price_list, put, data.delete)
    return conditional.show(request, await _get(tx, price_list), version=changed.version)


@get("/{sku:str}")
async def get_entry(
    request: Asked, tx: NamedDependency[AsyncConnection], price_list: ListInPath, sku: SkuInPath
) -> Response[Entry]:
    """Read what a variant costs by a list; the ETag is that of the list."""
    known = await _get(tx, price_list)
    found = await price_entries.find(tx, price_list, sku)
    if found is None:
        raise NotFound(f"There is no {sku} in price list {price_list}.")
    return conditional.show(request, found, version=known.version)


@put(
    "/{sku:str}",
    responses={HTTPStatus.CREATED: answered(Entry, "Created.")},
)
async def put_entry(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    price_list: ListInPath,
    sku: SkuInPath,
    data: JSONBody[EntryContent],
) -> Response[Entry]:
    """Put what a variant costs by a list; If-Match goes by the version of the list."""
    name_commit(tx, Commit.PRICE_LIST)
    stored = Entry(sku, data.price_minor, data.compare_at_minor)
    try:
        changed = await _change(tx, request, price_list, [stored], [])
    except UnknownSku as unknown:
        raise UnknownSku(unknown.detail, field="sku") from unknown
    answer = conditional.show(request, stored, version=changed.version)
    answer.status_code = HTTPStatus.OK if changed.before else HTTPStatus.CREATED
    return answer


@delete("/{sku:str}", status_code=HTTPStatus.NO_CONTENT)
async def delete_entry(
    request: Asked, tx: NamedDependency[AsyncConnection], price_list: ListInPath, sku: SkuInPath
) -> None:
    """Take a variant out of a list; again is the same."""
    name_commit(tx, Commit.PRICE_LIST)
    await _change(tx, request, price_list, [], [sku])


async def _change(
    tx: AsyncConnection, request: Asked, name: str, entries: list[Entry], gone: list[str]
) -> Changed:
    changed = await price_entries.change(tx, name, entries, gone)
    conditional.check(request, version=changed.was)
    if changed.version == changed.was:
        return changed
    after: dict[str, Any] = {"put": entries, "delete": gone}
    await audit.record(
        tx, request, "price_list.change", name, before={"entries": changed.before}, after=after
    )
    skus = [*(entry.sku for entry in entries), *gone]
    shown = [*(f"variant:{sku}" for sku in skus), *(f"product:{slug}" for slug in changed.products)]
    await invalidations.touch(tx, shown)
    return changed


async def _get(tx: AsyncConnection, name: str) -> PriceList:
    found = await price_lists.find(tx, name)
    if found is None:
        raise NotFound(f"There is no price list {name}.")
    return found


def _refuse_doubled(skus: list[str]) -> None:
    if len(set(skus)) < len(skus):
        raise InvalidRequest("A SKU stands in it twice: leave one out.", field="put")


router = Router(
    "/v1/price-lists/{price_list:str}/entries",
    route_handlers=[list_entries, patch_entries, get_entry, put_entry, delete_entry],
    tags=["catalogue"],
)
