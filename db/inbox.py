"""The inbox: what gateways told us, each message kept once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Params, fetch

# A gateway gives up on an answer after seconds and sends again: what is locked for longer than
# this is left to its next try.
LOCK_WAIT_MS = 100
_BE_BRIEF = "SELECT set_config('lock_timeout', %(wait_ms)s, true)"


class Message(msgspec.Struct, frozen=True):
    """A message of a gateway; `payload` is the part of it that is kept.

    `order_id` is what it says itself, `refs` are the gateway's references that it names.
    """

    source: str
    id: str
    kind: str
    payload: dict[str, Any]
    order_id: UUID | None
    refs: Sequence[str]


async def insert_many(
    tx: AsyncConnection, messages: Sequence[Message]
) -> list[tuple[bool, UUID | None]]:
    """Keep messages; tells of each whether it is new, and the order of ours it is about, if any.

    One that a group has twice counts as new twice. From here on no lock is waited for longer
    than LOCK_WAIT_MS: the transaction then ends with Busy, and nothing of it has come.
    """
    await fetch(tx, str, _BE_BRIEF, {"wait_ms": str(LOCK_WAIT_MS)})
    return await fetch(
        tx,
        _kept,
        """
        WITH said AS (
            SELECT * FROM unnest(%(source)b::text[], %(id)b::text[], %(kind)b::text[],
                                 %(payload)b::text[], %(order_id)b::uuid[])
            WITH ORDINALITY AS s (source, message_id, kind, payload, order_id, n)
        ), named AS (
            -- By the id in the message, else by a reference that the gateway gave us.
            SELECT DISTINCT ON (n) n, order_id FROM (
                SELECT n, orders.id AS order_id, 0 AS rank
                FROM said JOIN orders ON orders.id = said.order_id
                UNION ALL
                SELECT n, a.order_id, 1
                FROM unnest(%(ref_of)b::bigint[], %(ref)b::text[]) AS r (n, ref)
                JOIN said USING (n)
                JOIN payment_attempts a ON a.gateway_ref = r.ref AND a.gateway = said.source
            ) AS found ORDER BY n, rank
        ), kept AS (
            -- Sorted, so that two who are told the same do not wait for each other in a circle.
            INSERT INTO inbox (source, message_id, kind, payload, order_id)
            SELECT source, message_id, kind, payload::jsonb, named.order_id
            FROM said LEFT JOIN named USING (n) ORDER BY source, message_id
            ON CONFLICT DO NOTHING RETURNING source, message_id
        )
        SELECT kept.message_id IS NOT NULL, named.order_id
        FROM said LEFT JOIN named USING (n) LEFT JOIN kept USING (source, message_id) ORDER BY n
        """,
        _columns(messages),
    )


def _columns(messages: Sequence[Message]) -> Params:
    refs = [(n, ref) for n, message in enumerate(messages, 1) for ref in message.refs]
    return {
        "source": [message.source for message in messages],
        "id": [message.id for message in messages],
        "kind": [message.kind for message in messages],
        "payload": [msgspec.json.encode(message.payload).decode() for message in messages],
        "order_id": [message.order_id for message in messages],
        "ref_of": [n for n, _ in refs],
        "ref": [ref for _, ref in refs],
    }


def _kept(new: bool, order_id: UUID | None) -> tuple[bool, UUID | None]:  # noqa: FBT001 - a row
    return new, order_id


async def may_become_ours(tx: AsyncConnection, source: str, *, said_at: datetime) -> bool:
    """Tell whether a message about an unknown payment may be of one that is not settled yet.

    The gateway gives us its reference with its answer, which may come after the message. Only
    what was sent before the message counts, give or take the difference of two clocks, so that
    what is of somebody else is not put off for as long as there are charges.
    """
    found = await fetch(
        tx,
        int,
        """
        SELECT 1 FROM payment_attempts
        WHERE state IN ('sent', 'unknown', 'action_required') AND gateway = %(source)s
          AND kind IN ('charge', 'authorize')
          AND coalesce(sent_at, created_at) <= %(said_at)s + interval '1 minute' LIMIT 1
        """,
        {"source": source, "said_at": said_at},
    )
    return bool(found)
