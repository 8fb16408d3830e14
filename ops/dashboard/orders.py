"""Orders: found by whatever one has of them, newest first."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from db import search
from db.search import By
from domain.status import Status
from ops.dashboard.page import Page

SHOWN_MAX = 50


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is looked for, and the last order of the page before."""

    q: Annotated[str, Meta(max_length=254)] = ""
    status: Status | None = None
    before: UUID | None = None


async def show(tx: AsyncConnection, asked: Asked) -> Mapping[str, object]:
    """Search, and tell what the text was taken for."""
    status = None if asked.status is None else asked.status.value
    by, found = await search.find(
        tx, asked.q.strip(), status=status, before=asked.before, limit=SHOWN_MAX + 1
    )
    shown = found[:SHOWN_MAX]
    more = shown[-1].id if len(found) > SHOWN_MAX else None
    return {
        "orders": shown,
        "by": by,
        "more": more,
        "statuses": list(Status),
        "lines_max": search.LINES_MAX if by is By.SKU and status else None,
    }


PAGE = Page("/ops/orders", "Orders", "orders.html", show, Asked, nav="Orders")
