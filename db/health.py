"""Health: what the auditor and people have found, and when it was last looked for."""

from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.audits import AUDITED
from db.engine import fetch


class Health(msgspec.Struct, frozen=True):
    """Invariants that are broken now, other open findings, and the auditor's last look at all."""

    broken: list[str]
    findings: int
    looked_at: datetime | None
    looked_s_ago: float | None


async def find(tx: AsyncConnection) -> Health:
    """Read the health of the books."""
    [found] = await fetch(
        tx,
        Health,
        """
        SELECT coalesce((SELECT array_agg(DISTINCT kind ORDER BY kind) FROM findings
                         WHERE closed_at IS NULL AND kind = ANY (%(audited)b::text[])), '{}'),
               (SELECT count(*) FROM findings
                WHERE closed_at IS NULL AND kind <> ALL (%(audited)b::text[])),
               looked_at, extract(epoch FROM now() - looked_at)::float8
        FROM (SELECT max(looked_at) AS looked_at FROM audit_progress) AS progress
        """,
        {"audited": [invariant.name for invariant in AUDITED]},
    )
    return found
