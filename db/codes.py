"""One-time codes: kept by id alone, used once, gone when they are too old."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from db.ids import new_id
from domain.code import LIFETIME, Purpose


class Code(msgspec.Struct, frozen=True):
    """A code that is still good, and what it was made for."""

    id: UUID
    user_id: UUID | None
    payload: Mapping[str, Any]


async def insert(
    tx: AsyncConnection,
    purpose: Purpose,
    *,
    user_id: UUID | None = None,
    payload: Mapping[str, str] | None = None,
) -> UUID:
    """Write a code down; returns the id from which it is derived."""
    code_id = new_id()
    await run(
        tx,
        """
        INSERT INTO one_time_codes (id, user_id, purpose, payload, expires_at)
        VALUES (%(id)s, %(user_id)s, %(purpose)s, %(payload)s::jsonb,
                now() + make_interval(secs => %(good_for_s)s))
        """,
        {
            "id": code_id,
            "user_id": user_id,
            "purpose": purpose.value,
            "payload": msgspec.json.encode(payload or {}).decode(),
            "good_for_s": LIFETIME[purpose].total_seconds(),
        },
    )
    return code_id


async def find(tx: AsyncConnection, code_id: UUID, purpose: Purpose) -> Code | None:
    """Read a code that is still good."""
    found = await fetch(
        tx,
        Code,
        """
        SELECT id, user_id, payload FROM one_time_codes
        WHERE id = %(id)s AND purpose = %(purpose)s AND used_at IS NULL AND expires_at > now()
        """,
        {"id": code_id, "purpose": purpose.value},
    )
    return found[0] if found else None


async def use(tx: AsyncConnection, code_id: UUID) -> bool:
    """Use a code up; only one of several who do it at once succeeds."""
    return bool(
        await run(
            tx,
            """
            UPDATE one_time_codes SET used_at = now()
            WHERE id = %(id)s AND used_at IS NULL AND expires_at > now()
            """,
            {"id": code_id},
        )
    )


async def hand_over(tx: AsyncConnection, code_id: UUID, user_id: UUID) -> None:
    """Make a code, and the mail that carried it, part of what is known of an account."""
    params = {"id": code_id, "user_id": user_id}
    await run(tx, "UPDATE one_time_codes SET user_id = %(user_id)s WHERE id = %(id)s", params)
    await run(tx, "UPDATE account_notices SET user_id = %(user_id)s WHERE code_id = %(id)s", params)


async def pair(tx: AsyncConnection, one: UUID, other: UUID) -> None:
    """Have two codes be of use together only."""
    await run(
        tx,
        """
        UPDATE one_time_codes
        SET payload = payload || jsonb_build_object('partner', CASE id
            WHEN %(one)s THEN %(other)s ELSE %(one)s END)
        WHERE id IN (%(one)s, %(other)s)
        """,
        {"one": one, "other": other},
    )


async def is_partner_used(tx: AsyncConnection, code_id: UUID) -> bool:
    """Tell whether the code that a code is paired with was used, and has not expired."""
    return bool(
        await fetch(
            tx,
            UUID,
            """
            SELECT p.id::text FROM one_time_codes c
            JOIN one_time_codes p ON p.id = (c.payload->>'partner')::uuid
            WHERE c.id = %(id)s AND p.used_at IS NOT NULL AND p.expires_at > now()
            """,
            {"id": code_id},
        )
    )


async def withdraw(tx: AsyncConnection, user_id: UUID) -> None:
    """Have no code of an account be good any more."""
    await run(
        tx,
        """
        UPDATE one_time_codes SET expires_at = now()
        WHERE user_id = %(user_id)s AND used_at IS NULL AND expires_at > now()
        """,
        {"user_id": user_id},
    )


async def prune(tx: AsyncConnection, *, limit: int) -> int:
    """Delete codes that are a day too old, with what they were made for."""
    return await run(
        tx,
        """
        DELETE FROM one_time_codes WHERE id IN (
            SELECT id FROM one_time_codes WHERE expires_at < now() - interval '1 day'
            ORDER BY expires_at LIMIT %(limit)s)
        """,
        {"limit": limit},
    )
