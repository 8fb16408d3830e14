"""Idempotency keys: each is taken once, and gives the same answer ever after."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import ClassVar
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from domain.refusal import Refusal


class IdempotencyKeyReused(Refusal):
    """The key was used before, for another request."""

    code: ClassVar[str] = "idempotency_key_reused"


class Answer(msgspec.Struct, frozen=True):
    """What the client is told, byte for byte, now and whenever it asks again."""

    order_id: UUID
    status: int
    body: bytes
    replayed: bool = False
    claimable: bool = False  # no account has the order: only its claim token opens it


class Claim(msgspec.Struct, frozen=True):
    """A key for a request, and the body its answer has."""

    scope: str
    key: str
    fingerprint: bytes
    order_id: UUID
    body: bytes


class Stored(msgspec.Struct):
    """A key that was taken."""

    scope: str
    key: str
    fingerprint: bytes
    status: int
    body: bytes
    order_id: UUID


class First(Stored):
    """The key by which an order was made, and the account that has the order by now, if any."""

    owner: UUID | None


class _Taken(msgspec.Struct):
    scope: str
    key: str


Pair = tuple[str, str]


async def take(tx: AsyncConnection, claims: Sequence[Claim]) -> frozenset[Pair]:
    """Take keys, none twice; returns scope and key of those that were free.

    One that another transaction is just taking is waited for.
    """
    if not claims:
        return frozenset()
    # In the order of the key: two groups that share keys wait for, not on, each other.
    ordered = sorted(claims, key=lambda claim: (claim.scope, claim.key))
    taken = await fetch(
        tx,
        _Taken,
        """
        INSERT INTO idempotency_keys (scope, key, fingerprint, status, body, order_id)
        SELECT scope, key, fingerprint, %(status)s, body, order_id
        FROM unnest(%(scope)b::text[], %(key)b::text[], %(fingerprint)b::bytea[],
                    %(body)b::bytea[], %(order_id)b::uuid[])
          AS k (scope, key, fingerprint, body, order_id)
        ON CONFLICT DO NOTHING RETURNING scope, key
        """,
        {
            "status": int(HTTPStatus.ACCEPTED),
            "scope": [claim.scope for claim in ordered],
            "key": [claim.key for claim in ordered],
            "fingerprint": [claim.fingerprint for claim in ordered],
            "body": [claim.body for claim in ordered],
            "order_id": [claim.order_id for claim in ordered],
        },
    )
    return frozenset((row.scope, row.key) for row in taken)


async def fill(tx: AsyncConnection, scope: str, key: str, body: bytes) -> None:
    """Write the body of a key's answer, in the transaction that took it."""
    await run(
        tx,
        "UPDATE idempotency_keys SET body = %(body)s WHERE scope = %(scope)s AND key = %(key)s",
        {"body": body, "scope": scope, "key": key},
    )


async def find(tx: AsyncConnection, pairs: Sequence[Pair]) -> dict[Pair, Stored]:
    """Read keys that were taken."""
    if not pairs:
        return {}
    rows = await fetch(
        tx,
        Stored,
        """
        SELECT scope, key, fingerprint, status, body, order_id FROM idempotency_keys
        JOIN unnest(%(scope)b::text[], %(key)b::text[]) AS k (scope, key) USING (scope, key)
        """,
        {"scope": [scope for scope, _ in pairs], "key": [key for _, key in pairs]},
    )
    return {(row.scope, row.key): row for row in rows}


async def of_orders(tx: AsyncConnection, order_ids: Sequence[UUID]) -> dict[UUID, First]:
    """Read the keys by which orders were made, by order; those that are forgotten are left out.

    An order and its key are of one transaction, hence of one time, by which a key is found.
    """
    if not order_ids:
        return {}
    rows = await fetch(
        tx,
        First,
        """
        SELECT k.scope, k.key, k.fingerprint, k.status, k.body, k.order_id, o.user_id
        FROM orders o JOIN idempotency_keys k ON k.created_at = o.created_at AND k.order_id = o.id
        WHERE o.id = ANY (%(ids)b::uuid[])
        """,
        {"ids": list(order_ids)},
    )
    return {row.order_id: row for row in rows}


def refuse_other(stored: Stored, fingerprint: bytes) -> None:
    """Raise IdempotencyKeyReused unless the key was taken for the same request."""
    if stored.fingerprint != fingerprint:
        raise IdempotencyKeyReused(
            "This Idempotency-Key was used for another request: use a new key.",
            field="Idempotency-Key",
        )


async def prune(tx: AsyncConnection, *, keep_days: int, limit: int) -> int:
    """Forget keys older than `keep_days`; returns how many went.

    What is to go is found once: as a subquery it may be run for every key, each with its limit.
    """
    return await run(
        tx,
        """
        WITH old AS MATERIALIZED (
            SELECT scope, key FROM idempotency_keys
            WHERE created_at < now() - make_interval(days => %(days)s)
            ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        DELETE FROM idempotency_keys WHERE (scope, key) IN (SELECT scope, key FROM old)
        """,
        {"days": keep_days, "limit": limit},
    )
