"""The overview: whether all is well, at one look."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from db import queues
from ops.dashboard.page import Nothing, Page


async def show(tx: AsyncConnection, _: Nothing) -> Mapping[str, object]:
    """Read what is open now."""
    return {"queues": await queues.page(tx)}


PAGE = Page("/ops", "Overview", "overview.html", show, nav="Overview")
