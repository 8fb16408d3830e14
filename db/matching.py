"""Tasks that match a filter: listed, judged in groups, and given a batch at a time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from domain.bulk import AT_MONEY, SAMPLE_MAX, Alike, Group
from domain.cause import cause, telling
from domain.task import Kind, Queue, State

# Of tasks in a state, the newest are looked through for those that match.
LOOKED_AT_MAX = 200_000
# The newest dead tasks are grouped by cause: reading and comparing them takes some 20 ms.
CAUSES_OF_MAX = 2000

# The state stands in the text of a statement, so that whatever plan is kept has its index.
IN_STATE: Mapping[State, LiteralString] = {
    State.READY: "state = 'ready'",
    State.RUNNING: "state = 'running'",
    State.DONE: "state = 'done'",
    State.DEAD: "state = 'dead'",
    State.CANCELLED: "state = 'cancelled'",
}
MATCHES: LiteralString = """
    kind = coalesce(%(kind)s::text, kind) AND queue = coalesce(%(queue)s::text, queue)
    AND (%(order_id)s::uuid IS NULL OR order_id = %(order_id)s::uuid)
    AND (%(error)s::text IS NULL OR position(lower(%(error)s::text) IN lower(last_error)) > 0)
    AND created_at >= coalesce(%(since)s::timestamptz, '-infinity')
    AND created_at < coalesce(%(until)s::timestamptz, 'infinity')
"""
# A payment of the order of `t` is sent, and its outcome is open.
PAYING: LiteralString = """
    CASE WHEN kind = ANY (%(at_money)b::text[]) THEN EXISTS (
        SELECT FROM payment_attempts a WHERE a.order_id = t.order_id
        AND a.state IN ('sent', 'unknown', 'action_required')) ELSE false END
"""


class Filter(msgspec.Struct, frozen=True):
    """What tasks are narrowed by; `error` is part of the error, `since` and `until` of creation."""

    state: State = State.DEAD
    kind: Kind | None = None
    queue: Queue | None = None
    order_id: UUID | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class CauseView(msgspec.Struct, frozen=True):
    """Dead tasks of one cause; all their errors contain `error`."""

    cause: str
    error: str
    kind: str
    queue: str
    count: int
    last_id: int
    last_at: datetime


def params(wanted: Filter) -> dict[str, Any]:
    """Give what MATCHES and PAYING ask for."""
    return {
        "kind": wanted.kind and wanted.kind.value,
        "queue": wanted.queue and wanted.queue.value,
        "order_id": wanted.order_id,
        "error": wanted.error,
        "since": wanted.since,
        "until": wanted.until,
        "at_money": [kind.value for kind in AT_MONEY],
    }


def _group(kind: str, state: str, due: object, paying: object, *rest: Any) -> Group:  # noqa: ANN401 - of a Group
    return Group(Alike(kind, State(state), bool(due), bool(paying)), *rest)


async def groups(tx: AsyncConnection, wanted: Filter, *, id_max: int) -> list[Group]:
    """Count all that match up to an id, by what they are judged by."""
    query: LiteralString = (
        "SELECT kind, state, run_at <= now() AS due, "  # noqa: S608 - texts of ours alone
        + PAYING
        + " AS paying, count(*), (array_agg(id))[:%(sample)s] FROM tasks t WHERE "
        + IN_STATE[wanted.state]
        + " AND id <= %(id_max)s AND "
        + MATCHES
        + " GROUP BY 1, 2, 3, 4"
    )
    given = {**params(wanted), "id_max": id_max, "sample": SAMPLE_MAX}
    return await fetch(tx, _group, query, given)


async def causes(tx: AsyncConnection) -> list[CauseView]:
    """Group the newest dead tasks by kind and cause, the most frequent first."""
    rows = await fetch(
        tx,
        _Dead,
        """
        SELECT kind, queue, last_error, count(*), max(id), max(finished_at)
        FROM (SELECT * FROM tasks WHERE state = 'dead' ORDER BY id DESC LIMIT %(limit)s) AS newest
        GROUP BY 1, 2, 3
        """,
        {"limit": CAUSES_OF_MAX},
    )
    found: dict[tuple[str, str, str], CauseView] = {}
    for row in rows:
        key = (row.kind, row.queue, cause(row.last_error))
        found[key] = _with(found.get(key), row, key[2])
    return sorted(found.values(), key=lambda one: (-one.count, -one.last_id))


class _Dead(msgspec.Struct):
    kind: str
    queue: str
    last_error: str | None
    count: int
    last_id: int
    last_at: datetime


def _with(known: CauseView | None, row: _Dead, why: str) -> CauseView:
    if known is None:
        error = telling(why) if row.last_error else ""
        return CauseView(why, error, row.kind, row.queue, row.count, row.last_id, row.last_at)
    return msgspec.structs.replace(
        known,
        count=known.count + row.count,
        last_id=max(known.last_id, row.last_id),
        last_at=max(known.last_at, row.last_at),
    )
