"""The auditor's looks: at what changed since the last one, at what was broken, at all in turn."""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import findings, snapshots
from db.engine import allow_joins, fetch, run
from db.invariants import INVARIANTS, LIVENESS, NIL, Invariant, Violation, check_orders
from db.snapshots import Snapshot
from domain.finding import Finding

AUDITED: Sequence[Invariant] = (*INVARIANTS, *LIVENESS)

# Cancelled orders whose money is judged once their work is done.
WAITING_MAX = 5000
# Findings that are open are looked at again each time.
OPEN_MAX = 1000
# What of one invariant is told of at a time.
FOUND_MAX = 100


class Limits(msgspec.Struct, frozen=True):
    """How much one look takes on, so that it takes about a second."""

    # Orders looked at in turn, each time: a million of them are seen again within four hours.
    rolled: int = 5000
    # Orders that changed; what is left over is for the next look, which may come at once.
    changed: int = 10_000
    # An auditor that was away for longer than this many transactions leaves what it missed to the
    # turn of all orders: reading it up would take longer than a statement may.
    transactions: int = 500_000


class Look(msgspec.Struct, frozen=True):
    """What a look came to; one that is not `complete` has left changes for the next."""

    new: Sequence[Violation]
    orders: int
    missed: int
    complete: bool


class Checked(msgspec.Struct, frozen=True):
    """When all that changed was last looked at, and when every order there is."""

    looked_at: datetime | None
    rolled_at: datetime | None


class _Progress(msgspec.Struct):
    seen: str
    waiting: list[UUID]
    rolled_to: UUID | None


class _Changed(msgspec.Struct):
    order_id: UUID
    xid: int


class _Open(msgspec.Struct):
    kind: str
    subject: str
    order_id: UUID | None


class _Id(msgspec.Struct):
    id: UUID


async def look(tx: AsyncConnection, limits: Limits) -> Look | None:
    """Check what changed and the next orders in turn, and keep findings; None if another does.

    An order that changes meanwhile is seen again by the next look. The transaction has read
    committed data, as any of ours.
    """
    if not await _lock(tx):
        return None
    await allow_joins(tx)
    now = await snapshots.current(tx)
    oldest = max(1, now.xmax - limits.transactions)
    progress = await _progress(tx, now, oldest)
    seen = Snapshot.parse(progress.seen)
    changed, until, complete = await _changed(tx, seen, now, oldest, limits.changed)
    rolled = await _next(tx, progress.rolled_to, limits.rolled)
    known = await _open(tx)
    again = [one.order_id for one in known if one.order_id is not None]
    ids = sorted({*changed, *rolled, *again, *progress.waiting})
    found = await _check(tx, ids)
    await _keep(tx, known, found)
    await _advance(tx, until, await _waiting(tx, ids), complete=complete)
    if limits.rolled:
        await _roll(tx, rolled, limits.rolled)
    before = {(one.kind, one.subject) for one in known}
    return Look(
        [one for one in chain(*found.values()) if (one.invariant, one.subject) not in before],
        len(ids),
        max(0, oldest - seen.xmin),
        complete,
    )


async def checked(tx: AsyncConnection) -> Checked:
    """Read when it was last looked."""
    query = "SELECT max(looked_at), max(rolled_at) FROM audit_progress"
    [found] = await fetch(tx, Checked, query, {})
    return found


async def _lock(tx: AsyncConnection) -> bool:
    """Become the only one who looks, until the transaction ends; False if somebody else is."""
    ours = "SELECT pg_try_advisory_xact_lock(hashtext('orderflow'), hashtext('audit'))"
    [locked] = await fetch(tx, bool, ours, {})
    return locked


async def _progress(tx: AsyncConnection, now: Snapshot, oldest: int) -> _Progress:
    """Read how far all was seen.

    Without it, or with that of another server, as after a restore, the last transactions count
    as unseen.
    """
    recent = str(now.until(oldest))
    await run(
        tx,
        "INSERT INTO audit_progress (seen) VALUES (%(seen)s) ON CONFLICT DO NOTHING",
        {"seen": recent},
    )
    [found] = await fetch(tx, _Progress, "SELECT seen, waiting, rolled_to FROM audit_progress", {})
    if Snapshot.parse(found.seen).xmax > now.xmax:
        found.seen = recent
    return found


async def _changed(
    tx: AsyncConnection, seen: Snapshot, now: Snapshot, oldest: int, limit: int
) -> tuple[Sequence[UUID], Snapshot, bool]:
    """Find orders of which something was written that was not there at the last look.

    And the snapshot up to which that is all, and whether that is now. By transaction, not by
    time: one that ran at the last look is not in its snapshot, however long it takes, and its
    rows count as new.
    """
    rows = await fetch(
        tx,
        _Changed,
        """
        SELECT order_id, min(xid) FROM (
            SELECT order_id, xid FROM order_events WHERE xid >= %(least)s AND xid < %(most)s
            UNION ALL
            SELECT order_id, xid FROM ledger_entries WHERE xid >= %(least)s AND xid < %(most)s
        ) AS written
        WHERE NOT pg_visible_in_snapshot(xid::text::xid8, %(seen)s::pg_snapshot)
        GROUP BY order_id ORDER BY min(xid), order_id LIMIT %(limit)s
        """,
        {
            "least": max(seen.xmin, oldest),
            "most": now.xmax,
            "seen": str(seen),
            "limit": limit + 1,
        },
    )
    if len(rows) <= limit:
        return [row.order_id for row in rows], now, True
    # Of one transaction with more orders than that, the rest is left to the turn of all orders.
    until = max(rows[-1].xid, rows[0].xid + 1)
    return [row.order_id for row in rows[:limit] if row.xid < until], now.until(until), False


async def _next(tx: AsyncConnection, after: UUID | None, limit: int) -> Sequence[UUID]:
    rows = await fetch(
        tx,
        _Id,
        "SELECT id FROM orders WHERE id > %(after)s ORDER BY id LIMIT %(limit)s",
        {"after": after or NIL, "limit": limit},
    )
    return [row.id for row in rows]


async def _open(tx: AsyncConnection) -> Sequence[_Open]:
    return await fetch(
        tx,
        _Open,
        """
        SELECT kind, subject, order_id FROM findings
        WHERE closed_at IS NULL AND kind = ANY (%(kinds)b::text[]) ORDER BY id LIMIT %(limit)s
        """,
        {"kinds": [invariant.name for invariant in AUDITED], "limit": OPEN_MAX},
    )


async def _check(tx: AsyncConnection, ids: Sequence[UUID]) -> dict[str, list[Violation]]:
    return {
        invariant.name: await check_orders(tx, invariant, ids, limit=FOUND_MAX)
        for invariant in AUDITED
    }


async def _keep(
    tx: AsyncConnection, known: Sequence[_Open], found: dict[str, list[Violation]]
) -> None:
    """Open findings of what is broken, and close those of what is not so any more."""
    still = [
        Finding(one.invariant, one.subject, one.order_id, one.detail)
        for one in chain(*found.values())
    ]
    await findings.insert(tx, still)
    # Of one with more rows than are told, those that are not might be among the rest.
    told = [name for name, violations in found.items() if len(violations) < FOUND_MAX]
    await findings.close_gone(tx, told, [one.subject for one in known], still)


async def _waiting(tx: AsyncConnection, ids: Sequence[UUID]) -> Sequence[UUID]:
    """Find cancelled orders that are not at rest: their last work may write nothing new."""
    rows = await fetch(
        tx,
        _Id,
        """
        SELECT id FROM orders o WHERE id = ANY (%(ids)b::uuid[]) AND status = 'cancelled'
          AND EXISTS (SELECT FROM tasks t
                      WHERE t.order_id = o.id AND t.state IN ('ready', 'running'))
        LIMIT %(limit)s
        """,
        {"ids": ids, "limit": WAITING_MAX},
    )
    return [row.id for row in rows]


async def _advance(
    tx: AsyncConnection, until: Snapshot, waiting: Sequence[UUID], *, complete: bool
) -> None:
    await run(
        tx,
        """
        UPDATE audit_progress
        SET seen = %(seen)s, waiting = %(waiting)b::uuid[],
            looked_at = CASE WHEN %(complete)s THEN now() ELSE looked_at END
        """,
        {"seen": str(until), "waiting": waiting, "complete": complete},
    )


async def _roll(tx: AsyncConnection, rolled: Sequence[UUID], limit: int) -> None:
    """Begin again with the oldest order after the newest."""
    ended = len(rolled) < limit
    await run(
        tx,
        """
        UPDATE audit_progress
        SET rolled_to = %(to)s, rolled_at = CASE WHEN %(ended)s THEN now() ELSE rolled_at END
        """,
        {"to": None if ended else rolled[-1], "ended": ended},
    )
