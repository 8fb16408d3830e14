"""Mails of accounts: noted with their cause, told once, kept for a while."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db import account_tables, tasks
from db.engine import fetch, run
from db.ids import new_id
from domain.account_mail import AccountNotice, AccountTold
from domain.mail import Delivery, Refused, Sent
from domain.task import Kind, NewTask

# In the payload of its task.
NOTICE_ID = "notice_id"


async def tell(
    tx: AsyncConnection,
    notice: AccountNotice,
    recipient: str,
    *,
    user_id: UUID | None = None,
    code_id: UUID | None = None,
) -> None:
    """Note a mail and the work to send it; the queue is rung after commit."""
    notice_id = new_id()
    await tx.execute(
        insert(account_tables.account_notices).values(
            id=notice_id, user_id=user_id, kind=notice.value, recipient=recipient, code_id=code_id
        )
    )
    await tasks.schedule(tx, NewTask(Kind.NOTIFY_ACCOUNT, {NOTICE_ID: str(notice_id)}))


async def pending(tx: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, AccountTold]:
    """Read the mails that are still to be sent; of an account that is gone there are none.

    A code that is used or too old is not sent any more: its mail would only lead astray.
    """
    found = await fetch(
        tx,
        AccountTold,
        """
        SELECT n.id, n.kind, n.recipient, n.code_id
        FROM account_notices n LEFT JOIN one_time_codes c ON c.id = n.code_id
        WHERE n.id = ANY (%(ids)b::uuid[]) AND n.state = 'pending'
          AND (n.code_id IS NULL OR (c.used_at IS NULL AND c.expires_at > now()))
        """,
        {"ids": list(ids)},
    )
    return {told.id: told for told in found}


async def record(tx: AsyncConnection, deliveries: Sequence[tuple[UUID, Delivery]]) -> None:
    """Write which mails were taken or refused; those still to be tried stay pending."""
    ended = [(notice_id, d) for notice_id, d in deliveries if isinstance(d, Sent | Refused)]
    if not ended:
        return
    await run(
        tx,
        """
        UPDATE account_notices n
        SET state = v.state, error = v.error,
            sent_at = CASE v.state WHEN 'sent' THEN now() END
        FROM unnest(%(id)b::uuid[], %(state)b::text[], %(error)b::text[]) AS v (id, state, error)
        WHERE n.id = v.id
        """,
        {
            "id": [notice_id for notice_id, _ in ended],
            "state": ["sent" if isinstance(d, Sent) else "refused" for _, d in ended],
            "error": [d.reason if isinstance(d, Refused) else None for _, d in ended],
        },
    )


async def prune(tx: AsyncConnection, *, keep_days: int, limit: int) -> int:
    """Delete mails older than `keep_days`; returns how many went."""
    return await run(
        tx,
        """
        DELETE FROM account_notices WHERE id IN (
            SELECT id FROM account_notices
            WHERE created_at < now() - make_interval(days => %(days)s)
            ORDER BY created_at LIMIT %(limit)s)
        """,
        {"days": keep_days, "limit": limit},
    )
