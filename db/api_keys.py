"""API keys of people for their machines; a key itself is never here, only its hash."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import func

from db import account_tables
from domain.refusal import Conflict, NotFound

_k = account_tables.api_keys.c

# Somebody who needs more should rather tell machines apart by their accounts.
ACTIVE_MAX = 100


class NewKey(msgspec.Struct, frozen=True):
    """A key to be written; `prefix` is what of it may be shown again."""

    id: UUID
    user_id: UUID
    name: str
    prefix: str
    hash: bytes
    scopes: Sequence[str]
    tier: str
    expires_at: datetime | None = None


class KeyView(msgspec.Struct, frozen=True):
    """A key as its owner sees it; `replaced_by` came of a rotation."""

    id: UUID
    user_id: UUID
    name: str
    prefix: str
    scopes: Sequence[str]
    tier: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    replaced_by: UUID | None


async def insert_one(tx: AsyncConnection, key: NewKey) -> KeyView:
    """Write a key; raises Conflict if its owner has too many."""
    active = select(func.count()).where(_k.user_id == key.user_id, _k.revoked_at.is_(None))
    if (await tx.scalar(active) or 0) >= ACTIVE_MAX:
        raise Conflict(f"You have {ACTIVE_MAX} keys that are not revoked: revoke some first.")
    written = insert(account_tables.api_keys).values(msgspec.structs.asdict(key)).returning(*_VIEW)
    return KeyView(*(await tx.execute(written)).one())


async def lock(tx: AsyncConnection, key_id: UUID, *, of: UUID | None) -> KeyView:
    """Lock a key of an account, or of any if `of` is None; raises NotFound."""
    query = select(*_VIEW).where(_k.id == key_id).with_for_update(key_share=True)
    if of is not None:
        query = query.where(_k.user_id == of)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"There is no API key {key_id}.")
    return KeyView(*row)


async def page(
    tx: AsyncConnection, *, of: UUID | None, before: UUID | None, limit: int
) -> list[KeyView]:
    """List the keys of an account, or of all if `of` is None, newest first."""
    query = select(*_VIEW).order_by(_k.id.desc()).limit(limit)
    if of is not None:
        query = query.where(_k.user_id == of)
    if before is not None:
        query = query.where(_k.id < before)
    return [KeyView(*row) for row in await tx.execute(query)]


async def replace(tx: AsyncConnection, old: KeyView, new: NewKey, *, overlap_s: int) -> KeyView:
    """Write the successor of a locked key, which is good for `overlap_s` longer at most.

    Raises Conflict if the key was revoked or has a successor.
    """
    if old.revoked_at is not None or old.replaced_by is not None:
        raise Conflict("The key was revoked or replaced before: make a new one.")
    written = await insert_one(tx, new)
    # `least` leaves out what is NULL.
    ends = func.least(_k.expires_at, func.now() + func.make_interval(0, 0, 0, 0, 0, 0, overlap_s))
    ended = update(account_tables.api_keys).where(_k.id == old.id)
    await tx.execute(ended.values(replaced_by=written.id, expires_at=ends))
    return written


async def revoke(tx: AsyncConnection, key: KeyView) -> KeyView:
    """End a locked key at once; again is the same."""
    ended = update(account_tables.api_keys).where(_k.id == key.id)
    ended = ended.values(revoked_at=func.coalesce(_k.revoked_at, func.now())).returning(*_VIEW)
    return KeyView(*(await tx.execute(ended)).one())


_VIEW = tuple(_k[name] for name in KeyView.__struct_fields__)
