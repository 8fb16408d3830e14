"""The ledger over HTTP, for staff."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from db import ledger, orders
from db.ledger import LedgerEntry


class Ledger(msgspec.Struct, frozen=True):
    """The entries of an order, oldest first, and their sums by account in minor units."""

    order_id: UUID
    currency: str
    sums: dict[str, int]
    entries: list[LedgerEntry]


@get("/")
async def read_ledger(
    tx: NamedDependency[AsyncConnection], order: Annotated[UUID, QueryParameter()]
) -> Ledger:
    """Read what was booked for an order; the entries of each transaction sum to zero."""
    found = await orders.get(tx, order)
    entries, sums = await ledger.page(tx, order), await ledger.sums(tx, order)
    return Ledger(order, found.currency, sums, entries)


router = Router("/v1/ledger", route_handlers=[read_ledger], tags=["payments"])
