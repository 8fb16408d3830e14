"""What happened to accounts, for the eyes of their owners."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from db import account_tables
from db.engine import run
from domain.account import Origin, SecurityEvent

_s = account_tables.security_events.c


class SecurityEventView(msgspec.Struct, frozen=True):
    """Something that happened, and from where."""

    at: datetime
    kind: str
    session_id: UUID | None
    address: str | None
    user_agent: str | None


async def append(
    tx: AsyncConnection,
    user_id: UUID,
    kind: SecurityEvent,
    origin: Origin,
    *,
    session_id: UUID | None = None,
) -> None:
    """Write down what happened to an account."""
    await tx.execute(
        insert(account_tables.security_events).values(
            user_id=user_id,
            kind=kind.value,
            session_id=session_id,
            address=origin.address,
            user_agent=origin.user_agent,
        )
    )


async def latest(tx: AsyncConnection, user_id: UUID, *, limit: int) -> list[SecurityEventView]:
    """Read what happened to an account, the latest first."""
    columns = (_s.at, _s.kind, _s.session_id, _s.address, _s.user_agent)
    query = select(*columns).where(_s.user_id == user_id).order_by(_s.id.desc()).limit(limit)
    return [SecurityEventView(*row) for row in await tx.execute(query)]


async def prune(tx: AsyncConnection, *, keep_days: int, limit: int) -> int:
    """Delete what happened longer than `keep_days` ago; returns how much went."""
    return await run(
        tx,
        """
        DELETE FROM security_events WHERE id IN (
            SELECT id FROM security_events
            WHERE at < now() - make_interval(days => %(days)s) ORDER BY at LIMIT %(limit)s)
        """,
        {"days": keep_days, "limit": limit},
    )
