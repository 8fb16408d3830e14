"""The processes: what each does now and since when, and which are lost."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from db import people, processes
from db.processes import LOST_AFTER_S
from ops.dashboard.page import Nothing, Page


async def show(tx: AsyncConnection, _: Nothing) -> Mapping[str, object]:
    """Read the processes."""
    found = await processes.page(tx)
    return {
        "processes": found,
        "lost_after_s": LOST_AFTER_S,
        "people": await people.emails(tx, [one.stop_asked_by for one in found]),
    }


PAGE = Page("/ops/workers", "Workers", "workers.html", show, nav="Workers")
