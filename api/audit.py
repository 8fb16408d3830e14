"""The audit log over HTTP, and how routes write it."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from api import pages
from api.authentication import Asked
from api.fields import MomentInQuery, moment
from db import audit
from db.audit import Entry, EntryView, Filter
from ops.telemetry import logs


class AuditPage(msgspec.Struct, frozen=True):
    """A part of the log, newest first; the Link header leads to the next one."""

    entries: list[EntryView]


@get("/")
async def list_audit(  # noqa: PLR0913, PLR0917 - one parameter per filter
    request: Request[Any, Any, Any],
    tx: NamedDependency[AsyncConnection],
    actor: Annotated[UUID | None, QueryParameter()] = None,
    action: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
    target_kind: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
    target: Annotated[str | None, QueryParameter(min_length=1, max_length=200)] = None,
    at_from: MomentInQuery = None,
    at_before: MomentInQuery = None,
    cursor: Annotated[str | None, QueryParameter(max_length=200)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> Response[AuditPage]:
    """Show who of the staff did what, newest first."""
    wanted = Filter(
        actor,
        action,
        target_kind,
        target,
        since=moment(at_from, field="at_from"),
        until=moment(at_before, field="at_before"),
    )
    before = None if cursor is None else pages.decode_number(cursor)
    found = await audit.page(tx, wanted, before=before, limit=limit + 1)
    shown = found[:limit]
    headers = pages.link(request, UUID(int=shown[-1].id)) if len(found) > limit else {}
    return Response(AuditPage(shown), headers=headers)


async def record(  # noqa: PLR0913 - an entry says all of this
    tx: AsyncConnection,
    request: Asked,
    action: str,
    target: object,
    *,
    before: object = None,
    after: object = None,
) -> None:
    """Write down what a member of staff does; what others do to their own is not written.

    `action` begins with the kind of its target: `order.cancel` is done to an order.
    """
    principal = request.user
    if not principal.is_staff:
        return
    client = request.client
    entry = Entry(
        actor=principal.user_id,
        actor_kind=principal.kind.value,
        action=action,
        target_kind=action.partition(".")[0],
        target=str(target),
        before=None if before is None else msgspec.to_builtins(before),
        after=None if after is None else msgspec.to_builtins(after),
        request_id=logs.request_id(),
        address=client.host if client else None,
    )
    await audit.append(tx, entry)


router = Router("/v1/audit", route_handlers=[list_audit], tags=["audit"])
