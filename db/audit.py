"""The audit log: who of the staff did what to what; written in the transaction of its effect."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import account_tables

Facts = Mapping[str, Any]


class Entry(msgspec.Struct, frozen=True):
    """What was done; `before` and `after` are what the action changed of its target."""

    actor: UUID | None
    actor_kind: str
    action: str
    target_kind: str
    target: str
    before: Facts | None
    after: Facts | None
    request_id: str | None
    address: str | None


class EntryView(msgspec.Struct, frozen=True):
    """An entry as people see it; an actor of kind `key` is the owner of the key."""

    id: int
    at: datetime
    actor: UUID | None
    actor_kind: str
    action: str
    target_kind: str
    target: str
    before: Facts | None
    after: Facts | None
    request_id: str | None
    address: str | None


class Filter(msgspec.Struct, frozen=True):
    """What the log is narrowed by; `until` is exclusive."""

    actor: UUID | None = None
    action: str | None = None
    target_kind: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def append(tx: AsyncConnection, entry: Entry) -> None:
    """Write an entry; it is there exactly if what it tells of is."""
    await tx.execute(insert(account_tables.audit_log).values(msgspec.structs.asdict(entry)))


async def page(
    tx: AsyncConnection, wanted: Filter, *, before: int | None, limit: int
) -> list[EntryView]:
    """List entries, newest first, from just before `before` on."""
    a = account_tables.audit_log.c
    query = select(*_VIEW).order_by(a.id.desc()).limit(limit)
    equal = {
        a.actor: wanted.actor,
        a.action: wanted.action,
        a.target_kind: wanted.target_kind,
        a.target: wanted.target,
    }
    query = query.where(*(column == value for column, value in equal.items() if value is not None))
    if wanted.since is not None:
        query = query.where(a.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(a.at < wanted.until)
    if before is not None:
        query = query.where(a.id < before)
    return [EntryView(*row) for row in await tx.execute(query)]


_VIEW = tuple(account_tables.audit_log.c[name] for name in EntryView.__struct_fields__)
