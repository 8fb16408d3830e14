"""Findings over HTTP: listed, and closed with a note, by staff."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api import audit, pages
from api.authentication import Asked
from db import findings
from db.engine import name_commit
from db.findings import FindingView
from ops.telemetry.faultpoint import Commit


class FindingPage(msgspec.Struct, frozen=True):
    """A part of the list; the Link header leads to the next one."""

    findings: list[FindingView]


class CloseFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it may be closed; found again, it is a new finding."""

    note: Annotated[
        str, Meta(min_length=1, max_length=1000, pattern=r"\S", description="what was done")
    ]


@get("")
async def list_findings(
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    is_open: Annotated[bool | None, QueryParameter(name="open")] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[FindingPage]:
    """List findings, newest first."""
    before = None if cursor is None else pages.decode_number(cursor)
    found = await findings.page(tx, is_open=is_open, before=before, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, UUID(int=shown[-1].id)) if len(found) > limit else {}
    return Response(FindingPage(shown), headers=headers)


@post("/{finding_id:int}/close", status_code=HTTPStatus.OK)
async def close_finding(
    request: Asked,
    tx: NamedDependency[AsyncConnection],
    finding_id: Annotated[int, PathParameter(ge=1, le=pages.NUMBER_MAX)],
    data: JSONBody[CloseFinding],
) -> FindingView:
    """Close a finding; the same again changes nothing."""
    name_commit(tx, Commit.FINDING)
    closed = await findings.close(tx, finding_id, note=data.note)
    await audit.record(tx, request, "finding.close", finding_id, after={"note": closed.note})
    return closed


router = Router("/v1/findings", route_handlers=[list_findings, close_finding], tags=["findings"])
