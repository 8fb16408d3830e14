"""The payments desk: what is open at gateways, and how their breakers are and were."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import breakers, desk
from ops.dashboard import surroundings
from ops.dashboard.page import Page

SHOWN_MAX = 50
HISTORY_MAX = 30


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last order of the page before."""

    after: UUID | None = None


async def show(tx: AsyncConnection, asked: Asked) -> Mapping[str, object]:
    """Read what is open, what is for a person to decide first."""
    config = surroundings.config()
    window = timedelta(seconds=config.gateway_window_s)
    reviews = await desk.waiting(tx, review=True, window=window, after=None, limit=SHOWN_MAX)
    found = await desk.waiting(
        tx, review=False, window=window, after=asked.after, limit=SHOWN_MAX + 1
    )
    switches = await breakers.switches(tx)
    states = await breakers.page(tx)
    gateways = {one.gateway for one in states} | switches.keys() | set(config.gateway_names)
    return {
        "counts": await desk.count(tx),
        "reviews": reviews,
        "unknowns": found[:SHOWN_MAX],
        "more": found[SHOWN_MAX - 1].order_id if len(found) > SHOWN_MAX else None,
        "gateways": [
            (name, switches.get(name), [one for one in states if one.gateway == name])
            for name in sorted(gateways)
        ],
        "history": await breakers.history(tx, limit=HISTORY_MAX),
    }


PAGE = Page("/ops/payments", "Payments desk", "payments.html", show, Asked, nav="Payments")
