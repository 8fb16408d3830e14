"""Variants over HTTP, the things that have a SKU: read by everybody, put by staff."""

from functools import partial
from http import HTTPStatus

import msgspec
from litestar import Response, Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, cached, conditional
from api.authentication import Asked
from api.fields import SkuInPath
from api.openapi import answered
from db import edges, invalidations, variants
from db.cache import Read
from db.engine import name_commit, reading
from db.invalidations import CATALOGUE
from domain.principal import writes_catalogue
from domain.refusal import NotFound
from domain.variant import Variant, VariantContent
from ops.telemetry.faultpoint import Commit

VARIANT = cached.pages("variant")


@get("/{sku:str}")
async def get_variant(request: Asked, sku: SkuInPath) -> Response[Variant]:
    """Read a variant; what it costs the shop is for staff, as are those of hidden products."""
    absent = f"There is no variant {sku}."
    if not writes_catalogue(request.user):
        return await cached.show(request, VARIANT, sku, partial(_public, sku), absent=absent)
    async with reading(request.app.state.database) as tx:
        found = await variants.find(tx, sku)
    if found is None:
        raise NotFound(absent)
    return conditional.show(request, found, version=found.version)


async def _public(sku: str, tx: AsyncConnection) -> Read[Variant]:
    found = await variants.find(tx, sku, public=True)
    shown = None if found is None else msgspec.structs.replace(found, cost_minor=UNSET)
    tags = frozenset({CATALOGUE, f"variant:{sku}"})
    return Read(shown, tags, await edges.of_variant(tx, sku))


@put(
    "/{sku:str}",
    responses={HTTPStatus.CREATED: answered(Variant, "Created.")},
)
async def put_variant(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    sku: SkuInPath,
    data: JSONBody[VariantContent],
) -> Response[Variant]:
    """Create or replace a variant; orders keep the price they were placed at."""
    name_commit(tx, Commit.VARIANT)
    # Before its product, as whoever deletes or imports it does: they would wait in a circle.
    was = await variants.lock(tx, sku)
    made = Variant(sku=sku, version=0, **msgspec.structs.asdict(data))
    stored = await variants.put(tx, made)
    # What it replaced is known only now. If that is not what was wanted, nothing is committed.
    conditional.check(request, version=stored.version - 1 or None)
    await audit.record(tx, request, "variant.put", sku, before=was, after=stored)
    await invalidations.touch(tx, _tags(sku, was, stored))
    answer = conditional.show(request, stored, version=stored.version)
    answer.status_code = HTTPStatus.CREATED if stored.version == 1 else HTTPStatus.OK
    return answer


@delete("/{sku:str}", status_code=HTTPStatus.NO_CONTENT)
async def delete_variant(
    request: Asked, tx: NamedDependency[AsyncConnection], sku: SkuInPath
) -> None:
    """Take a variant off sale for good or until it is put again; again is the same.

    It can be read on as not `active`, as its stock and the orders of it can.
    """
    name_commit(tx, Commit.VARIANT)
    was = await variants.lock(tx, sku)
    conditional.check(request, version=None if was is None else was.version)
    if was is not None and was.active:
        await variants.withdraw(tx, sku)
        await audit.record(tx, request, "variant.delete", sku, before=was)
        await invalidations.touch(tx, _tags(sku, was))


def _tags(sku: str, *variants: Variant | None) -> list[str]:
    slugs = {each.product for each in variants if each and each.product}
    return [f"variant:{sku}", *(f"product:{slug}" for slug in slugs)]


router = Router(
    "/v1/variants", route_handlers=[get_variant, put_variant, delete_variant], tags=["catalogue"]
)
