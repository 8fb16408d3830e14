"""Locations over HTTP: where stock lies, for staff."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional
from api.authentication import Asked
from api.fields import SlugInPath
from api.openapi import answered
from db import locations
from db.engine import name_commit
from db.locations import LocationView
from domain.country import Country
from domain.refusal import NotFound
from domain.text import ON_ONE_LINE, ONE_LINE, Text
from ops.telemetry.faultpoint import Commit

PRIORITY_MAX = 1_000_000


class LocationList(msgspec.Struct, frozen=True):
    """All locations, in the order of their priority."""

    locations: list[LocationView]


class PutLocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place where stock lies; the smallest `priority` comes first.

    The nearest one is in the country an order goes to, and there the one whose postcode begins
    most like that of the order.
    """

    name: Text
    country: Country
    postcode: (
        Annotated[str, Meta(min_length=1, max_length=20, pattern=ONE_LINE, description=ON_ONE_LINE)]
        | None
    ) = None
    priority: Annotated[int, Meta(ge=0, le=PRIORITY_MAX)] = 0


@get("")
async def list_locations(tx: NamedDependency[AsyncConnection]) -> LocationList:
    """List all locations."""
    return LocationList(await locations.page(tx))


@get("/{slug:str}")
async def get_location(
    request: Request[Any, Any, Any], tx: NamedDependency[AsyncConnection], slug: SlugInPath
) -> Response[LocationView]:
    """Read a location."""
    found = await locations.find(tx, slug)
    if found is None:
        raise NotFound(f"There is no location {slug}.")
    return conditional.show(request, found, version=found.version)


@put(
    "/{slug:str}",
    responses={HTTPStatus.CREATED: answered(LocationView, "Created.")},
)
async def put_location(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    slug: SlugInPath,
    data: JSONBody[PutLocation],
) -> Response[LocationView]:
    """Create or replace a location; what lies there stays."""
    name_commit(tx, Commit.LOCATION)
    was = await locations.find(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    made = LocationView(slug, data.name, data.country, data.postcode, data.priority, version=0)
    stored = await locations.put(tx, made)
    # Somebody may have been faster. Then nothing is committed.
    conditional.check(request, version=None if was is None else stored.version - 1)
    await audit.record(tx, request, "location.put", slug, before=was, after=stored)
    answer = conditional.show(request, stored, version=stored.version)
    answer.status_code = HTTPStatus.CREATED if was is None else HTTPStatus.OK
    return answer


@delete("/{slug:str}", status_code=HTTPStatus.NO_CONTENT)
async def delete_location(
    request: Asked, tx: NamedDependency[AsyncConnection], slug: SlugInPath
) -> None:
    """Close a location at which nothing lies, and where nothing is to come; again is the same."""
    name_commit(tx, Commit.LOCATION)
    was = await locations.delete(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    if was is not None:
        await audit.record(tx, request, "location.delete", slug, before=was)


router = Router(
    "/v1/locations",
    route_handlers=[list_locations, get_location, put_location, delete_location],
    tags=["stock"],
)
