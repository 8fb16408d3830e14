"""Invalidations: what a transaction changes of what caches show, told by its own commit."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import psycopg
from psycopg.rows import args_row
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import forget_after_commit, run

# Whatever is cached of the catalogue is cached under this tag, too.
CATALOGUE = "catalogue"
# Of more than this it is quicker to forget the whole catalogue than each alone.
TAGS_MAX = 500
# Longer than a cache keeps anything, so that what is older here is of nothing in any.
KEEP_S = 900
# Some hundred bytes each, in every process. Of more than this none is told by its name.
TOLD_MAX = 20_000


class Changes(msgspec.Struct, frozen=True):
    """What was committed until Postgres was asked.

    Every transaction with a number below `settled` has ended: what is read after that shows
    what it wrote. `touched` are tags with the highest number of those that touched them; what
    `floor` and those below it touched may be anything. `history` names what the numbers are of.
    """

    settled: int
    floor: int
    touched: Mapping[str, int]
    history: str


async def touch(tx: AsyncConnection, tags: Iterable[str]) -> None:
    """Have all caches forget what is under `tags` once the transaction commits.

    Call it for every change of what is shown: `product:<slug>`, `variant:<SKU>`,
    `category:<slug>`, `categories`, `prices`, `rating:<slug>`, `stock:<SKU>`, `user:<id>`. Rows
    are only added, so that nobody waits for anybody, and the order of calls does not matter.
    """
    touched = sorted(set(tags))
    if not touched:
        return
    if len(touched) > TAGS_MAX:
        touched = [CATALOGUE]
    await run(tx, "INSERT INTO invalidations (tags) VALUES (%(tags)b::text[])", {"tags": touched})
    forget_after_commit(tx)


async def changes(
    connection: psycopg.AsyncConnection[Any], *, since: int, told_max: int = TOLD_MAX
) -> Changes:
    """Read what transactions from the number `since` on have committed; all that is known for 0.

    One that began before another may commit after it, which is why it is asked from the first
    on that had not ended the last time. The connection is in no transaction.
    """
    async with connection.cursor(row_factory=args_row(_Row)) as cursor:
        await cursor.execute(_CHANGES, {"since": since, "limit": told_max + 1, "keep_s": KEEP_S})
        [row] = await cursor.fetchall()
    touched = dict(zip(row.tags, row.xids, strict=True))
    if len(touched) > told_max:
        return Changes(row.settled, max(row.floor, *row.xids), {}, row.history)
    return Changes(row.settled, row.floor, touched, row.history)


async def prune(tx: AsyncConnection, *, keep_s: int = KEEP_S) -> int:
    """Delete what is older than `keep_s` but for the last of it; returns how many rows went.

    From that one on all is there, see `changes`.
    """
    return await run(
        tx,
        """
        WITH old AS (SELECT id, xid FROM invalidations
                     WHERE at < now() - make_interval(secs => %(keep_s)s))
        DELETE FROM invalidations
        WHERE id IN (SELECT id FROM old WHERE (xid, id) < (SELECT xid, id FROM old
                                                           ORDER BY xid DESC, id DESC LIMIT 1))
        """,
        {"keep_s": keep_s},
    )


class _Row(msgspec.Struct):
    settled: int
    floor: int
    tags: list[str]
    xids: list[int]
    history: str


# One statement, so one snapshot: what it does not see is of transactions from `settled` on. The
# numbers of transactions go back after a restore, and may after a failover: then the timeline is
# another one.
_CHANGES = """
    WITH told AS (
        SELECT tag, max(xid) AS xid FROM invalidations, unnest(tags) AS tag
        WHERE xid >= %(since)s GROUP BY tag ORDER BY 2 DESC LIMIT %(limit)s)
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
           CASE WHEN %(since)s > 0 THEN 0 ELSE (
               SELECT coalesce(max(xid), 0) FROM invalidations
               WHERE at < now() - make_interval(secs => %(keep_s)s)) END,
           (SELECT coalesce(array_agg(tag ORDER BY xid), '{}') FROM told),
           (SELECT coalesce(array_agg(xid ORDER BY xid), '{}') FROM told),
           (SELECT concat_ws('-', system_identifier, timeline_id,
                             (SELECT oid FROM pg_database WHERE datname = current_database()))
            FROM pg_control_system(), pg_control_checkpoint())
"""
