"""Dossiers: all that is written about one order beside its timeline, for people to look at."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import account_tables, tables
from db.engine import fetch

# Of an order that was tried for days, the newest tasks tell what is.
TASKS_MAX, ENTRIES_MAX = 200, 200


class TaskOf(msgspec.Struct, frozen=True):
    """A task of an order."""

    id: int
    kind: str
    queue: str
    state: str
    attempt: int
    attempts_max: int
    created_at: datetime
    run_at: datetime
    finished_at: datetime | None
    last_error: str | None


class MailOf(msgspec.Struct, frozen=True):
    """A mail of an order."""

    kind: str
    channel: str
    recipient: str
    state: str
    error: str | None
    created_at: datetime
    sent_at: datetime | None


class Source(msgspec.Struct, frozen=True):
    """How much of a SKU an order takes from a location."""

    sku: str
    location: str
    quantity: int


async def tasks(tx: AsyncConnection, order_id: UUID) -> Sequence[TaskOf]:
    """Read the newest tasks of an order, oldest first; done ones are pruned after some days."""
    newest_first = await fetch(
        tx,
        TaskOf,
        """
        SELECT id, kind, queue, state, attempt, attempts_max, created_at, run_at, finished_at,
               last_error
        FROM tasks WHERE order_id = %(id)s ORDER BY id DESC LIMIT %(limit)s
        """,
        {"id": order_id, "limit": TASKS_MAX},
    )
    return newest_first[::-1]


async def mails(tx: AsyncConnection, order_id: UUID) -> Sequence[MailOf]:
    """Read the mails of an order."""
    n = tables.notifications.c
    shown = [getattr(n, name) for name in MailOf.__struct_fields__]
    query = select(*shown).where(n.order_id == order_id).order_by(n.created_at, n.kind)
    return [MailOf(*row) for row in await tx.execute(query.limit(ENTRIES_MAX))]


async def sources(tx: AsyncConnection, order_id: UUID) -> Mapping[str, Sequence[Source]]:
    """Read where an order's stock lies, by SKU; what is missing lies at no location."""
    found = await fetch(
        tx,
        Source,
        """
        SELECT sku, code, quantity
        FROM reservation_parts JOIN locations ON locations.id = location_id
        WHERE order_id = %(id)s ORDER BY sku, code
        """,
        {"id": order_id},
    )
    return {sku: list(lying) for sku, lying in groupby(found, key=lambda one: one.sku)}


async def names(tx: AsyncConnection, user_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Read the addresses of accounts; those that are erased have none."""
    if not user_ids:
        return {}
    u = account_tables.users.c
    found = await tx.execute(select(u.id, u.email).where(u.id.in_(user_ids)))
    return {user_id: email for user_id, email in found if email}
