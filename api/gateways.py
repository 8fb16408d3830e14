"""Gateways over HTTP: taken out of service, kept in it, or left to their breakers, by staff."""

from enum import StrEnum
from typing import Annotated

import msgspec
from litestar import Router, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit
from api.authentication import Asked
from db import breakers
from db.engine import name_commit
from domain.refusal import NotFound
from domain.text import ON_ONE_LINE, ONE_LINE
from ops.config import Settings
from ops.telemetry.faultpoint import Commit


class Forced(StrEnum):
    OPEN = "open"  # no call is made: work waits, and no attempt is spent
    CLOSED = "closed"  # every call is made, whatever came of those before


class PutBreaker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How all breakers of the gateway are held, and why; null leaves them to themselves."""

    forced: Annotated[Forced, Meta(description="open or closed")] | None
    note: Annotated[
        str, Meta(min_length=1, max_length=500, pattern=ONE_LINE, description=ON_ONE_LINE)
    ]


class BreakerHeld(msgspec.Struct, frozen=True):
    """How the breakers of a gateway are held."""

    gateway: str
    forced: Forced | None


@put("/{name:str}/breaker")
async def put_breaker(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    name: FromPath[str],
    data: JSONBody[PutBreaker],
) -> BreakerHeld:
    """Hold the breakers of a gateway; every worker does so within a second or two."""
    settings: Settings = request.app.state.settings
    if name not in settings.gateway_names:
        raise NotFound("There is no such gateway.")
    name_commit(tx, Commit.BREAKER)
    forced = None if data.forced is None else data.forced.value
    was = await breakers.force(tx, name, forced, note=data.note, actor=request.user.user_id)
    before = {"forced": was}
    await audit.record(tx, request, "gateway.put_breaker", name, before=before, after=data)
    return BreakerHeld(name, data.forced)


router = Router("/v1/gateways", route_handlers=[put_breaker], tags=["operations"])
