"""Invalidations: what a transaction changes of what caches show, told by its own commit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg.rows import args_row
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import forget_after_commit, run
from db.snapshots import Snapshot

# Whatever is cached of the catalogue is cached under this tag, too.
CATALOGUE = "catalogue"
# What lists many of a kind is under the tag of all of them: who is new among them is under none.
OF_ALL = {
    "product": "products",
    "variant": "variants",
    "category": "categories",
    "rating": "ratings",
}
# Of more than this it is quicker to forget the whole catalogue than each alone.
TAGS_MAX = 500
# Longer than a cache keeps anything, so that what is older here is of nothing in any.
KEEP_S = 900
# Some hundred bytes each, in every process. Of more than this none is told by its name.
TOLD_MAX = 20_000


class Changes(msgspec.Struct, frozen=True):
    """What was committed until Postgres was asked, of which `seen` is the snapshot.

    `touched` are tags, each with the numbers of the transactions that touched it. What `floor`
    and those below it touched may be anything. `history` names what the numbers are of.
    """

    seen: Snapshot
    floor: int
    touched: Mapping[str, Sequence[int]]
    history: str


async def touch(tx: AsyncConnection, tags: Iterable[str]) -> None:
    """Have all caches forget what is under `tags` once the transaction commits.

    Call it for every change of what is shown: `product:<slug>`, `variant:<SKU>`,
    `category:<slug>`, `prices`, `rating:<slug>`, `stock:<SKU>`, `user:<id>`. Those that OF_ALL
    names come along. Rows are only added, so that nobody waits for anybody, and the order of
    calls does not matter.
    """
    touched = sorted({each for tag in tags for each in (tag, _of_all(tag)) if each})
    if not touched:
        return
    if len(touched) > TAGS_MAX:
        touched = [CATALOGUE]
    await run(tx, "INSERT INTO invalidations (tags) VALUES (%(tags)b::text[])", {"tags": touched})
    forget_after_commit(tx)


def _of_all(tag: str) -> str | None:
    return OF_ALL.get(tag.partition(":")[0])


async def changes(
    connection: psycopg.AsyncConnection[Any], *, since: Snapshot | None, told_max: int = TOLD_MAX
) -> Changes:
    """Read what was committed after the snapshot `since`; all that is known without one.

    The connection is in no transaction.
    """
    params = {
        "seen": None if since is None else str(since),
        "least": 0 if since is None else since.xmin,
        "limit": told_max + 1,
        "keep_s": KEEP_S,
    }
    async with connection.cursor(row_factory=args_row(_Row)) as cursor:
        await cursor.execute(_CHANGES, params)
        [row] = await cursor.fetchall()
    seen = Snapshot.parse(row.seen)
    if len(row.tags) > told_max:
        return Changes(seen, max(row.floor, *row.xids), {}, row.history)
    touched: dict[str, list[int]] = {}
    for tag, xid in zip(row.tags, row.xids, strict=True):
        touched.setdefault(tag, []).append(xid)
    return Changes(seen, row.floor, touched, row.history)


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
    seen: str
    floor: int
    tags: list[str]
    xids: list[int]
    history: str


# One statement, so one snapshot. A transaction that began before another may commit after it, so
# it is asked for those that the last snapshot did not see. The numbers go back after a restore,
# and may after a failover: then the timeline is another one.
_CHANGES = """
    WITH told AS (
        SELECT DISTINCT tag, xid FROM invalidations, unnest(tags) AS tag
        WHERE xid >= %(least)s AND (%(seen)s::text IS NULL OR NOT pg_visible_in_snapshot(
            xid::text::xid8, %(seen)s::text::pg_snapshot))
        ORDER BY xid DESC LIMIT %(limit)s)
    SELECT pg_current_snapshot()::text,
           CASE WHEN %(seen)s::text IS NOT NULL THEN 0 ELSE (
               SELECT coalesce(max(xid), 0) FROM invalidations
               WHERE at < now() - make_interval(secs => %(keep_s)s)) END,
           (SELECT coalesce(array_agg(tag ORDER BY xid, tag), '{}') FROM told),
           (SELECT coalesce(array_agg(xid ORDER BY xid, tag), '{}') FROM told),
           (SELECT concat_ws('-', system_identifier, timeline_id,
                             (SELECT oid FROM pg_database WHERE datname = current_database()))
            FROM pg_control_system(), pg_control_checkpoint())
"""
