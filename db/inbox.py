"""The inbox: what gateways told us, each message kept once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run

# A gateway gives up on an answer after seconds and sends again: what is locked for longer than
# this is left to its next try.
LOCK_WAIT_MS = 100


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


async def insert(tx: AsyncConnection, message: Message) -> tuple[bool, UUID | None]:
    """Keep a message; tells whether it is new, and the order of ours that it is about, if any.

    From here on no lock is waited for longer than LOCK_WAIT_MS: the transaction then ends with
    Busy, and the message is as if it had not come.
    """
    patience = "SELECT set_config('lock_timeout', %(wait_ms)s, true)"
    await fetch(tx, str, patience, {"wait_ms": str(LOCK_WAIT_MS)})
    order_id = await _order_of(tx, message)
    new = await run(
        tx,
        """
        INSERT INTO inbox (source, message_id, kind, payload, order_id)
        VALUES (%(source)s, %(id)s, %(kind)s, %(payload)s::jsonb, %(order_id)s)
        ON CONFLICT DO NOTHING
        """,
        {
            "source": message.source,
            "id": message.id,
            "kind": message.kind,
            "payload": msgspec.json.encode(message.payload).decode(),
            "order_id": order_id,
        },
    )
    return new == 1, order_id


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


async def _order_of(tx: AsyncConnection, message: Message) -> UUID | None:
    """Find the order by the id in the message, else by a reference that the gateway gave us."""
    found = await fetch(
        tx,
        UUID,
        """
        SELECT id::text FROM (
            SELECT id, 0 AS rank FROM orders WHERE id = %(order_id)s
            UNION ALL
            SELECT order_id, 1 FROM payment_attempts
            WHERE gateway_ref = ANY (%(refs)b::text[]) AND gateway = %(source)s
        ) AS named ORDER BY rank LIMIT 1
        """,
        {"order_id": message.order_id, "refs": list(message.refs), "source": message.source},
    )
    return found[0] if found else None
