"""Sessions of people, each with one refresh token at a time: opened, gone on with, ended."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import func

from db import account_tables
from db.engine import fetch, run
from db.ids import new_id
from domain.account import Origin, Proved, Revoked

# A client whose answer got lost, or that has two tabs, sends the same token again within this.
REPEAT_S = 5
_TOKEN_BYTES = 32


class Granted(msgspec.Struct, frozen=True):
    """A session that may go on: whose it is, and the token it goes on with the next time."""

    session_id: UUID
    user_id: UUID
    token_version: int
    refresh_token: str


class Refused(Enum):
    UNKNOWN = "unknown"  # never ours, too old, or of a session that ended
    REPEATED = "repeated"  # used just now, most likely by the same client


class Reused(msgspec.Struct, frozen=True):
    """A token was used that had been used long before: somebody has a copy; the session ended."""

    session_id: UUID
    user_id: UUID
    email: str


class SessionView(msgspec.Struct, frozen=True):
    """A session as its owner sees it."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str | None
    address: str | None
    mfa: bool


class _Known(msgspec.Struct):
    session_id: UUID
    user_id: UUID
    token_version: int
    email: str | None
    used_for_s: float | None
    good: bool


class Lifetimes(msgspec.Struct, frozen=True):
    """How long a session lasts unused, and how long at most."""

    unused_s: int
    longest_s: int


async def open_session(
    tx: AsyncConnection, proved: Proved, *, origin: Origin, lasting: Lifetimes
) -> Granted | None:
    """Open a session; None if the account changed since its token version was read."""
    session_id, token = new_id(), secrets.token_urlsafe(_TOKEN_BYTES)
    opened = await run(
        tx,
        """
        WITH standing AS (
            SELECT id FROM users
            WHERE id = %(user_id)s AND token_version = %(version)s
              AND disabled_at IS NULL AND deleted_at IS NULL
            FOR SHARE
        )
        INSERT INTO sessions (id, user_id, user_agent, address, mfa, expires_at)
        SELECT %(id)s, id, %(user_agent)s, %(address)s, %(mfa)s,
               now() + make_interval(secs => %(longest_s)s)
        FROM standing
        """,
        {
            "id": session_id,
            "user_id": proved.user_id,
            "version": proved.token_version,
            "user_agent": origin.user_agent,
            "address": origin.address,
            "mfa": proved.mfa,
            "longest_s": lasting.longest_s,
        },
    )
    if not opened:
        return None
    await _keep(tx, session_id, token, lasting)
    return Granted(session_id, proved.user_id, proved.token_version, token)


async def refresh(
    tx: AsyncConnection, token: str, *, lasting: Lifetimes
) -> Granted | Refused | Reused:
    """Exchange a refresh token for the next one; the caller must commit whatever comes of it.

    Of several who do so with the same token at once, one succeeds (RFC 9700 §4.14.2). One that
    was used before ends its session, unless it was used just now.
    """
    known = await _lock(tx, token)
    if known is None or not known.good:
        return Refused.UNKNOWN
    if known.used_for_s is not None:
        if known.used_for_s <= REPEAT_S:
            return Refused.REPEATED
        await revoke(tx, known.user_id, Revoked.REUSE, only=known.session_id)
        return Reused(known.session_id, known.user_id, known.email or "")
    await run(
        tx,
        "UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE hash = %(hash)s",
        {"hash": _hash(token)},
    )
    following = secrets.token_urlsafe(_TOKEN_BYTES)
    await _keep(tx, known.session_id, following, lasting)
    return Granted(known.session_id, known.user_id, known.token_version, following)


async def _lock(tx: AsyncConnection, token: str) -> _Known | None:
    """Lock the session of a token, then read how both stand: after the wait, as others left it."""
    held = await fetch(
        tx,
        UUID,
        """
        SELECT id::text FROM sessions
        WHERE id = (SELECT session_id FROM refresh_tokens WHERE hash = %(hash)s) FOR UPDATE
        """,
        {"hash": _hash(token)},
    )
    if not held:
        return None
    [known] = await fetch(
        tx,
        _Known,
        """
        SELECT s.id, s.user_id, u.token_version, u.email,
               extract(epoch FROM clock_timestamp() - t.used_at)::float8,
               s.revoked_at IS NULL AND s.expires_at > now() AND t.expires_at > now()
                   AND u.disabled_at IS NULL AND u.deleted_at IS NULL
        FROM refresh_tokens t
        JOIN sessions s ON s.id = t.session_id JOIN users u ON u.id = s.user_id
        WHERE t.hash = %(hash)s
        """,
        {"hash": _hash(token)},
    )
    return known


async def _keep(tx: AsyncConnection, session_id: UUID, token: str, lasting: Lifetimes) -> None:
    """Keep the digest of a session's token; it is good for no longer than the session."""
    await run(
        tx,
        """
        WITH used AS (
            UPDATE sessions SET last_used_at = now() WHERE id = %(session_id)s
            RETURNING id, expires_at
        )
        INSERT INTO refresh_tokens (hash, session_id, expires_at)
        SELECT %(hash)s, id, least(expires_at, now() + make_interval(secs => %(unused_s)s))
        FROM used
        """,
        {"session_id": session_id, "hash": _hash(token), "unused_s": lasting.unused_s},
    )


def _hash(token: str) -> bytes:
    """Hash a token; no salt and no slowness, as nobody can guess 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


async def revoke(
    tx: AsyncConnection,
    user_id: UUID,
    reason: Revoked,
    *,
    only: UUID | None = None,
    but: UUID | None = None,
) -> int:
    """End sessions of an account, all `but` one or `only` one; returns how many ended."""
    return await run(
        tx,
        """
        UPDATE sessions SET revoked_at = now(), revoked_reason = %(reason)s
        WHERE user_id = %(user_id)s AND revoked_at IS NULL AND expires_at > now()
          AND (%(only)b::uuid IS NULL OR id = %(only)b::uuid)
          AND (%(but)b::uuid IS NULL OR id <> %(but)b::uuid)
        """,
        {"user_id": user_id, "reason": reason.value, "only": only, "but": but},
    )


async def page(
    tx: AsyncConnection, user_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[SessionView]:
    """List the sessions that have not ended, newest first, from just before `before` on."""
    s = account_tables.sessions.c
    query = (
        select(s.id, s.created_at, s.last_used_at, s.expires_at, s.user_agent, s.address, s.mfa)
        .where(s.user_id == user_id, s.revoked_at.is_(None), s.expires_at > func.now())
        .order_by(s.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(s.id < before)
    return [SessionView(*row) for row in await tx.execute(query)]


async def prune(tx: AsyncConnection, *, keep_days: int, limit: int) -> int:
    """Delete sessions that expired longer than `keep_days` ago, with their tokens."""
    return await run(
        tx,
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions WHERE expires_at < now() - make_interval(days => %(days)s)
            ORDER BY expires_at LIMIT %(limit)s)
        """,
        {"days": keep_days, "limit": limit},
    )
