"""Discounts over HTTP, for staff: put by slug, with a code or given by themselves."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, conditional, pages
from api.authentication import Asked
from api.fields import DiscountCode, SlugInPath
from api.openapi import answered
from db import discounts
from db.discounts import DiscountView
from db.engine import name_commit
from db.ids import new_id
from domain.catalogue import Sku
from domain.discount import Discount, DiscountKind, normal, refuse_misfit
from domain.money import AMOUNT_MINOR_MAX, Currency
from domain.refusal import NotFound
from ops.telemetry.faultpoint import Commit

SKUS_MAX = 1000
USES_MAX = 1_000_000_000

Moment = Annotated[datetime, Meta(tz=True)]
Uses = Annotated[int, Meta(ge=1, le=USES_MAX)]


class PutDiscount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A discount; `value` is in basis points of a percentage, or in minor units of `currency`.

    Without a `code` it is given by itself. With `skus` it applies to these alone, and it needs
    `minimum_minor` of goods. One that does not combine is given alone, or not at all.
    """

    kind: Annotated[DiscountKind, Meta(description="percentage, fixed or free_shipping")]
    value: Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)] = 0
    currency: Currency | None = None
    code: DiscountCode | None = None
    skus: Annotated[list[Sku], Meta(min_length=1, max_length=SKUS_MAX)] | None = None
    minimum_minor: Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)] = 0
    combines: bool = True
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    uses_max: Uses | None = None
    uses_per_customer_max: Uses | None = None


class DiscountPage(msgspec.Struct, frozen=True):
    """Discounts, the newest first; the Link header names the next page."""

    discounts: list[DiscountView]


@get("")
async def list_discounts(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[DiscountPage]:
    """List discounts, the newest first."""
    before = None if cursor is None else pages.decode(cursor)
    found = await discounts.page(tx, before=before, limit=limit + 1)
    shown = list(found[:limit])
    headers = pages.link(request, shown[-1].id) if len(found) > limit else {}
    return Response(DiscountPage(shown), headers=headers)


@get("/{slug:str}")
async def get_discount(
    tx: NamedDependency[AsyncConnection], slug: SlugInPath
) -> Response[DiscountView]:
    """Read a discount, and how often it was given."""
    found = await discounts.find(tx, slug)
    if found is None:
        raise NotFound(f"There is no discount {slug}.")
    # How often it was given changes without a new version, so nobody is told 304.
    return Response(found, headers={"ETag": conditional.etag(found.version)})


@put(
    "/{slug:str}",
    responses={HTTPStatus.CREATED: answered(DiscountView, "Created.")},
)
async def put_discount(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    slug: SlugInPath,
    data: JSONBody[PutDiscount],
) -> Response[DiscountView]:
    """Make or change a discount; orders keep what they were given."""
    name_commit(tx, Commit.DISCOUNT)
    was, uses = await discounts.lock(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    stored = await discounts.put(tx, _wanted(slug, data), uses=uses)
    await audit.record(tx, request, "discount.put", slug, before=was, after=stored)
    return Response(
        stored,
        status_code=HTTPStatus.CREATED if was is None else HTTPStatus.OK,
        headers={"ETag": conditional.etag(stored.version)},
    )


@delete("/{slug:str}", status_code=HTTPStatus.NO_CONTENT)
async def delete_discount(
    request: Asked, tx: NamedDependency[AsyncConnection], slug: SlugInPath
) -> None:
    """Take a discount out of use; again is the same. Orders keep what they were given."""
    name_commit(tx, Commit.DISCOUNT)
    was, _ = await discounts.lock(tx, slug)
    conditional.check(request, version=None if was is None else was.version)
    if was is not None:
        await discounts.delete(tx, slug)
        await audit.record(tx, request, "discount.delete", slug, before=was)


def _wanted(slug: str, data: PutDiscount) -> DiscountView:
    code = None if data.code is None else normal(data.code)
    skus = None if data.skus is None else sorted(set(data.skus))
    named = {"id": new_id(), "slug": slug, "code": code, "skus": skus}
    given = msgspec.structs.asdict(data) | named
    refuse_misfit(msgspec.convert(given, Discount))
    return msgspec.convert(given, DiscountView)


router = Router(
    "/v1/discounts",
    route_handlers=[list_discounts, get_discount, put_discount, delete_discount],
    tags=["pricing"],
)
