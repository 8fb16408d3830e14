"""The standing of who asks: read on every request, so that what changed counts on the next one."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run


class Credential(msgspec.Struct, frozen=True):
    """What a credential names, of which only one is given: a session, a key or an order."""

    user_id: UUID | None = None
    session_id: UUID | None = None
    key_hash: bytes | None = None


class Standing(msgspec.Struct, frozen=True):
    """What is true of a credential's person, session and key; none if there is no such person.

    Somebody who was disabled or deleted is not active, nor is a session or key that ended.
    """

    user_id: UUID
    role: str
    tier: str
    token_version: int
    mfa: bool
    active: bool
    session_active: bool
    key_id: UUID | None
    key_active: bool
    key_scopes: list[str] | None
    key_tier: str | None
    key_used_lately: bool
    session_unused_s: float | None


class _Placed(Standing, frozen=True):
    place: int


async def find_many(
    tx: AsyncConnection, credentials: Sequence[Credential], *, lately_s: int
) -> list[Standing | None]:
    """Read the standing of credentials, in order; a key used within `lately_s` was used lately."""
    rows = await fetch(
        tx,
        _Placed,
        """
        SELECT u.id, u.role, u.tier, u.token_version, u.mfa_enabled_at IS NOT NULL,
               u.disabled_at IS NULL AND u.deleted_at IS NULL,
               coalesce(s.revoked_at IS NULL AND s.expires_at > now(), false),
               k.id,
               coalesce(k.revoked_at IS NULL, false)
                   AND coalesce(k.expires_at > now(), true),
               k.scopes, k.tier,
               coalesce(k.last_used_at > now() - make_interval(secs => %(lately_s)s), false),
               extract(epoch FROM now() - s.last_used_at)::float8,
               c.place
        FROM unnest(%(user_id)b::uuid[], %(session_id)b::uuid[], %(key_hash)b::bytea[])
             WITH ORDINALITY AS c (user_id, session_id, key_hash, place)
        LEFT JOIN api_keys k ON k.hash = c.key_hash
        LEFT JOIN sessions s ON s.id = c.session_id AND s.user_id = c.user_id
        JOIN users u ON u.id = coalesce(c.user_id, k.user_id)
        """,
        {
            "lately_s": lately_s,
            "user_id": [credential.user_id for credential in credentials],
            "session_id": [credential.session_id for credential in credentials],
            "key_hash": [credential.key_hash for credential in credentials],
        },
    )
    found = {row.place: row for row in rows}
    return [found.get(place) for place, _ in enumerate(credentials, 1)]


async def touch(tx: AsyncConnection, key_id: UUID, *, lately_s: int) -> None:
    """Write down that a key is used now, unless that was written down lately."""
    await run(
        tx,
        """
        UPDATE api_keys SET last_used_at = now()
        WHERE id = %(id)s AND (last_used_at IS NULL
                               OR last_used_at <= now() - make_interval(secs => %(lately_s)s))
        """,
        {"id": key_id, "lately_s": lately_s},
    )


async def touch_session(tx: AsyncConnection, session_id: UUID) -> None:
    """Write down that a session is used now."""
    await run(
        tx,
        "UPDATE sessions SET last_used_at = now() WHERE id = %(id)s AND revoked_at IS NULL",
        {"id": session_id},
    )


class _Owned(msgspec.Struct):
    order_id: UUID
    user_id: UUID | None


async def owners(tx: AsyncConnection, order_ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """Read whose orders are; those placed without an account are nobody's."""
    rows = await fetch(
        tx,
        _Owned,
        "SELECT id, user_id FROM orders WHERE id = ANY (%(ids)b::uuid[])",
        {"ids": list(order_ids)},
    )
    return {row.order_id: row.user_id for row in rows}
