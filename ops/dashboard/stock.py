"""Stock: what is low or wanted by more than there is, and why so much of a SKU is for sale."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from db import incoming, levels, locations, movements
from domain.shelf import why
from ops.dashboard.page import Page

SHOWN_MAX = 50
_SKU_CHARS_MAX = 64


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the SKUs begin that are looked for; without that, those that are scarce."""

    q: Annotated[str, Meta(max_length=_SKU_CHARS_MAX)] = ""


class AskedOne(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which SKU, and the last order and movement of the page before."""

    sku: Annotated[str, Meta(max_length=_SKU_CHARS_MAX)]
    before: UUID | None = None
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


async def show(tx: AsyncConnection, asked: Asked) -> Mapping[str, object]:
    """List SKUs."""
    wanted = asked.q.strip()
    if wanted:
        found = await movements.find(tx, wanted, limit=SHOWN_MAX)
        # Most are written in capitals.
        found = found or await movements.find(tx, wanted.upper(), limit=SHOWN_MAX)
    else:
        found = await movements.scarce(tx, limit=SHOWN_MAX)
    return {"levels": found, "shown_max": SHOWN_MAX}


async def show_one(tx: AsyncConnection, asked: AskedOne) -> Mapping[str, object]:
    """Explain one; raises NotFound."""
    shelf = await movements.shelf(tx, asked.sku)
    stock = await levels.get(tx, asked.sku)
    takers = await movements.takers(tx, asked.sku, before=asked.before, limit=SHOWN_MAX + 1)
    moved = await movements.page(tx, asked.sku, before=asked.version, limit=SHOWN_MAX + 1)
    return {
        "shelf": shelf,
        "why": why(shelf),
        "stock": stock,
        "coming": await incoming.page(tx, asked.sku),
        "locations": await locations.page(tx),
        "takers": takers[:SHOWN_MAX],
        "more": takers[SHOWN_MAX - 1].order_id if len(takers) > SHOWN_MAX else None,
        "movements": moved[:SHOWN_MAX],
        "earlier": moved[SHOWN_MAX - 1].version if len(moved) > SHOWN_MAX else None,
    }


PAGE = Page("/ops/stock", "Stock", "stock.html", show, Asked, nav="Stock")
ONE = Page("/ops/stock/{sku:str}", "Stock of a SKU", "shelf.html", show_one, AskedOne)
