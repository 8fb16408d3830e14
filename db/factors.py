"""Second factors: a sealed secret per account, its last used step, and recovery codes."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from db import invalidations
from db.engine import run


async def enrol(tx: AsyncConnection, user_id: UUID, sealed: bytes) -> bool:
    """Keep a secret that is still to be confirmed; False if one is confirmed already."""
    return bool(
        await run(
            tx,
            """
            UPDATE users SET mfa_secret = %(sealed)s, mfa_last_step = NULL
            WHERE id = %(id)s AND mfa_enabled_at IS NULL AND deleted_at IS NULL
            """,
            {"id": user_id, "sealed": sealed},
        )
    )


async def confirm(tx: AsyncConnection, user_id: UUID, sealed: bytes) -> bool:
    """Have logging in take the factor from now on; False if another secret took its place."""
    await invalidations.touch(tx, [f"user:{user_id}"])
    return bool(
        await run(
            tx,
            """
            UPDATE users
            SET mfa_enabled_at = now(), token_version = token_version + 1, version = version + 1,
                updated_at = now()
            WHERE id = %(id)s AND mfa_secret = %(sealed)s AND mfa_enabled_at IS NULL
            """,
            {"id": user_id, "sealed": sealed},
        )
    )


async def disable(tx: AsyncConnection, user_id: UUID) -> None:
    """Forget the factor and its recovery codes."""
    await invalidations.touch(tx, [f"user:{user_id}"])
    await run(
        tx,
        """
        UPDATE users
        SET mfa_secret = NULL, mfa_enabled_at = NULL, mfa_last_step = NULL,
            token_version = token_version + 1, version = version + 1, updated_at = now()
        WHERE id = %(id)s
        """,
        {"id": user_id},
    )
    await run(tx, "DELETE FROM recovery_codes WHERE user_id = %(id)s", {"id": user_id})


async def spend_step(tx: AsyncConnection, user_id: UUID, step: int) -> bool:
    """Use up the one-time password of a step of time; False if it, or a later one, was used."""
    return bool(
        await run(
            tx,
            """
            UPDATE users SET mfa_last_step = %(step)s
            WHERE id = %(id)s AND (mfa_last_step IS NULL OR mfa_last_step < %(step)s)
            """,
            {"id": user_id, "step": step},
        )
    )


async def renew_codes(tx: AsyncConnection, user_id: UUID, hashes: Sequence[bytes]) -> None:
    """Keep the digests of new recovery codes in place of the old ones."""
    await run(tx, "DELETE FROM recovery_codes WHERE user_id = %(id)s", {"id": user_id})
    await run(
        tx,
        """
        INSERT INTO recovery_codes (user_id, hash)
        SELECT %(id)s, hash FROM unnest(%(hashes)b::bytea[]) AS h (hash)
        """,
        {"id": user_id, "hashes": list(hashes)},
    )


async def spend_code(tx: AsyncConnection, user_id: UUID, digest: bytes) -> bool:
    """Use a recovery code up; False if it is none that is left."""
    return bool(
        await run(
            tx,
            """
            UPDATE recovery_codes SET used_at = now()
            WHERE user_id = %(id)s AND hash = %(hash)s AND used_at IS NULL
            """,
            {"id": user_id, "hash": digest},
        )
    )
