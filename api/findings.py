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

from api import pages
from api.problems import InvalidCursor
from api.staff import STAFF, staff_only
from db import findings
from db.engine import name_commit
from db.findings import FindingView
from ops.faultpoint import Commit

# Ids are those of a bigint column.
ID_MAX = 2**63 - 1


class FindingPage(msgspec.Struct, frozen=True):
    """A part of the list; the Link header leads to the next one."""

    findings: list[FindingView]


class CloseFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it may be closed; found again, it is a new finding."""

    note: Annotated[
        str, Meta(min_length=1, max_length=1000, pattern=r"\S", description="what was done")
    ]


@get("", guards=[staff_only], security=STAFF)
async def list_findings(
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    is_open: Annotated[bool | None, QueryParameter(name="open")] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[FindingPage]:
    """List findings, newest first."""
    before = None if cursor is None else _place(cursor)
    found = await findings.page(tx, is_open=is_open, before=before, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, UUID(int=shown[-1].id)) if len(found) > limit else {}
    return Response(FindingPage(shown), headers=headers)


def _place(cursor: str) -> int:
    """Read a cursor of this list; one of orders would be far beyond its end."""
    place = pages.decode(cursor).int
    if place > ID_MAX:
        raise InvalidCursor("The cursor is of another list.", field="cursor")
    return place


@post("/{finding_id:int}/close", status_code=HTTPStatus.OK, guards=[staff_only], security=STAFF)
async def close_finding(
    tx: NamedDependency[AsyncConnection],
    finding_id: Annotated[int, PathParameter(ge=1, le=ID_MAX)],
    data: JSONBody[CloseFinding],
) -> FindingView:
    """Close a finding; the same again changes nothing."""
    name_commit(tx, Commit.FINDING)
    return await findings.close(tx, finding_id, note=data.note)


router = Router("/v1/findings", route_handlers=[list_findings, close_finding], tags=["findings"])
