"""The safety invariants that Postgres alone can tell, each a query for the rows that break it."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import (
    catalogue_invariants,
    history_invariants,
    money_invariants,
    review_invariants,
    stock_invariants,
    work_invariants,
)
from db.engine import Params, allow_scans, fetch
from domain.status import MOVES

# A broken invariant breaks for a reason: its first rows tell as much as all of them.
ROWS_MAX = 20
# Enough to name what holds up a run of orders.
UNSETTLED_MAX = 5000

NIL = UUID(int=0)


class Violation(msgspec.Struct, frozen=True):
    """A row that breaks an invariant; `subject` is an order, a SKU, a task, or a slug."""

    invariant: str
    subject: str
    detail: str
    order_id: UUID | None = None


class Invariant(msgspec.Struct, frozen=True):
    """One that must hold at any instant; `query` yields subject and detail of what breaks it.

    It is one statement, hence of one snapshot: a transaction in flight breaks none. `IN SCOPE`
    stands where it is narrowed to some orders.
    """

    name: str
    query: LiteralString

    @property
    def of_orders(self) -> bool:
        """Tell whether it can be looked at order by order."""
        return "IN SCOPE" in self.query


class Unsettled(msgspec.Struct, frozen=True):
    """An order with work still to do, and the oldest of that work."""

    order_id: UUID
    kind: str
    state: str
    attempt: int
    run_at: datetime
    last_error: str | None


INVARIANTS: Sequence[Invariant] = tuple(
    Invariant(name, query)
    for queries in (
        stock_invariants.QUERIES,
        money_invariants.QUERIES,
        history_invariants.QUERIES,
        review_invariants.QUERIES,
        catalogue_invariants.QUERIES,
    )
    for name, query in queries.items()
)

# These hold as long as clocks and workers run.
LIVENESS: Sequence[Invariant] = tuple(
    Invariant(name, query) for name, query in work_invariants.QUERIES.items()
)

# An order begins as placed; what follows is `MOVES`.
_STEPS = [">placed", *(f"{was}>{to}" for was, ways in MOVES.items() for to in ways)]


async def check(tx: AsyncConnection, *, orders_from: UUID = NIL) -> list[Violation]:
    """Find what breaks an invariant, `ROWS_MAX` rows of each at most.

    With `orders_from` only orders from that id on are looked at, which ids of version 7 make
    a period of time; stock is always looked at as a whole.
    """
    await allow_scans(tx)
    found: list[Violation] = []
    for invariant in INVARIANTS:
        query = invariant.query.replace("IN SCOPE", ">= %(orders_from)s")
        found += await _find(tx, invariant, query, {"orders_from": orders_from, "limit": ROWS_MAX})
    return found


async def check_orders(
    tx: AsyncConnection, invariant: Invariant, ids: Sequence[UUID], *, limit: int
) -> list[Violation]:
    """Find what breaks an invariant: of orders for these alone, of the whole as it stands."""
    query = invariant.query.replace("IN SCOPE", "= ANY (%(ids)b::uuid[])")
    found = await _find(tx, invariant, query, {"ids": ids, "limit": limit})
    if not invariant.of_orders:
        return found
    return [msgspec.structs.replace(one, order_id=UUID(one.subject)) for one in found]


async def _find(
    tx: AsyncConnection, invariant: Invariant, query: LiteralString, params: Params
) -> list[Violation]:
    row = partial(Violation, invariant.name)
    return await fetch(tx, row, query, {**params, "moves": _STEPS})


async def unsettled(
    tx: AsyncConnection, order_ids: Sequence[UUID] | None = None
) -> list[Unsettled]:
    """Find orders that are not at rest: whose work is due, planned or under way.

    All orders, or those of `order_ids`; `UNSETTLED_MAX` at most.
    """
    return await fetch(
        tx,
        Unsettled,
        """
        SELECT DISTINCT ON (order_id) order_id, kind, state, attempt, run_at, last_error
        FROM tasks
        WHERE state IN ('ready', 'running') AND order_id IS NOT NULL
          AND (%(ids)b::uuid[] IS NULL OR order_id = ANY (%(ids)b::uuid[]))
        ORDER BY order_id, id LIMIT %(limit)s
        """,
        {"ids": None if order_ids is None else list(order_ids), "limit": UNSETTLED_MAX},
    )
