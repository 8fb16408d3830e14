"""Erasing a person: what is known of them goes, their orders stay under a pseudonym."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from db import carts, invalidations, reviews
from db.engine import fetch, run

# The country of a sale is kept for its tax; the rest of an address is the person's.
ERASED = "erased"


def pseudonym(user_id: UUID) -> str:
    """Give the address that orders have afterwards; the domain cannot exist (RFC 2606)."""
    return f"{user_id}@erased.invalid"


async def has_orders_under_way(tx: AsyncConnection, user_id: UUID) -> bool:
    """Tell whether an order of an account still needs to know whose it is."""
    return bool(
        await fetch(
            tx,
            UUID,
            """
            SELECT id::text FROM orders
            WHERE user_id = %(id)s
              AND status IN ('placed', 'backordered', 'reserved', 'review', 'paid')
            LIMIT 1
            """,
            {"id": user_id},
        )
    )


async def erase(tx: AsyncConnection, user_id: UUID) -> None:
    """Erase all that is known of a person; the audit log has ids only and stays.

    The account goes first: a session or a code of it that is just being written waits for its
    row, and then finds no account that could have one.
    """
    params = {"id": user_id, "pseudonym": pseudonym(user_id), "erased": ERASED}
    await run(
        tx,
        """
        UPDATE users
        SET email = NULL, email_folded = NULL, email_verified_at = NULL, name = NULL,
            password_hash = NULL, password_changed_at = NULL, mfa_secret = NULL,
            mfa_enabled_at = NULL, mfa_last_step = NULL, role = 'customer',
            tier = 'authenticated', token_version = token_version + 1, version = version + 1,
            updated_at = now(), deleted_at = now()
        WHERE id = %(id)s
        """,
        params,
    )
    await invalidations.touch(tx, [f"user:{user_id}"])
    await _erase_orders(tx, params)
    await _erase_answers(tx, params)
    await reviews.erase(tx, user_id)
    await carts.erase(tx, user_id)
    await run(tx, "DELETE FROM account_notices WHERE user_id = %(id)s", params)
    await run(tx, "DELETE FROM one_time_codes WHERE user_id = %(id)s", params)
    await run(tx, "DELETE FROM recovery_codes WHERE user_id = %(id)s", params)
    await run(tx, "DELETE FROM security_events WHERE user_id = %(id)s", params)
    await run(tx, "DELETE FROM sessions WHERE user_id = %(id)s", params)
    await run(
        tx,
        """
        UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()), name = %(erased)s
        WHERE user_id = %(id)s
        """,
        params,
    )


async def _erase_orders(tx: AsyncConnection, params: Mapping[str, object]) -> None:
    """Give orders a pseudonym, and what quotes them: their mails and redemptions."""
    await run(
        tx,
        """
        UPDATE notifications n SET recipient = %(pseudonym)s
        FROM orders o WHERE o.user_id = %(id)s AND n.order_id = o.id
        """,
        params,
    )
    await run(
        tx,
        """
        UPDATE discount_redemptions r SET mailbox = %(pseudonym)s
        FROM orders o WHERE o.user_id = %(id)s AND r.order_id = o.id
        """,
        params,
    )
    await run(
        tx,
        """
        UPDATE orders
        SET email = %(pseudonym)s,
            ship_to = jsonb_build_object(
                'name', %(erased)s::text, 'line1', %(erased)s::text, 'city', %(erased)s::text,
                'postcode', %(erased)s::text, 'country', ship_to->'country')
        WHERE user_id = %(id)s
        """,
        params,
    )


async def _erase_answers(tx: AsyncConnection, params: Mapping[str, object]) -> None:
    """Forget the answers that are kept for replays, which quote what was asked."""
    await run(
        tx,
        """
        DELETE FROM idempotency_keys WHERE scope IN (
            SELECT concat('user:', %(id)s::uuid)
            UNION ALL SELECT concat('guest:', id) FROM orders WHERE user_id = %(id)s)
        """,
        params,
    )
    # Placed without an account and claimed later: it was written in the transaction of its key.
    await run(
        tx,
        """
        DELETE FROM idempotency_keys k USING orders o
        WHERE o.user_id = %(id)s AND k.created_at = o.created_at AND k.order_id = o.id
        """,
        params,
    )
