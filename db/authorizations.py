"""Authorizations that have run out: found once, and noted as noticed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run


async def lock_expired(tx: AsyncConnection, *, limit: int) -> list[UUID]:
    """Lock orders whose authorization has run out unnoticed; those that others hold are skipped.

    While something is asked for or not settled it may still be captured, or be released anyway.
    """
    return await fetch(
        tx,
        UUID,
        """
        SELECT o.id::text FROM payment_attempts a JOIN orders o ON o.id = a.order_id
        WHERE a.expires_at IS NOT NULL AND a.expiry_noticed_at IS NULL AND a.expires_at <= now()
          AND NOT EXISTS (SELECT FROM payment_attempts b WHERE b.order_id = a.order_id
                          AND b.state NOT IN ('succeeded', 'declined'))
        ORDER BY a.expires_at LIMIT %(limit)s FOR NO KEY UPDATE OF o SKIP LOCKED
        """,
        {"limit": limit},
    )


async def notice(tx: AsyncConnection, attempt_ids: Sequence[UUID]) -> None:
    """Note authorizations as dealt with, so that they are not found again."""
    await run(
        tx,
        """
        UPDATE payment_attempts SET expiry_noticed_at = now() WHERE id = ANY (%(ids)b::uuid[])
        """,
        {"ids": list(attempt_ids)},
    )
