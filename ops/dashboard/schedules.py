"""The schedules: when each periodic job ran, and when it runs next."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from db import people, schedules
from ops.dashboard.page import Nothing, Page


async def show(tx: AsyncConnection, _: Nothing) -> Mapping[str, object]:
    """Read the periodic jobs."""
    found = await schedules.page(tx)
    return {
        "schedules": found,
        "people": await people.emails(tx, [one.changed_by for one in found]),
    }


PAGE = Page("/ops/schedules", "Schedules", "schedules.html", show, nav="Schedules")
