"""Invalidations: what a transaction changes of what caches show, told by its own commit."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import forget_after_commit, run

# Whatever is cached of the catalogue is cached under this tag, too.
CATALOGUE = "catalogue"
# Of more than this it is quicker to forget the whole catalogue than each alone.
TAGS_MAX = 500
# Longer than anything is kept in a cache, so that nothing in one is older than what is kept here.
KEEP_S = 900


async def touch(tx: AsyncConnection, tags: Iterable[str]) -> None:
    """Have all caches forget what is under `tags` once the transaction commits.

    Call it for every change of what is shown: `product:<slug>`, `variant:<SKU>`,
    `category:<slug>`, `categories`, `prices`, `rating:<slug>`, `stock:<SKU>`. Rows are only
    added, so that nobody waits for anybody, and the order of calls does not matter.
    """
    touched = sorted(set(tags))
    if not touched:
        return
    if len(touched) > TAGS_MAX:
        touched = [CATALOGUE]
    await run(tx, "INSERT INTO invalidations (tags) VALUES (%(tags)b::text[])", {"tags": touched})
    forget_after_commit(tx)


async def prune(tx: AsyncConnection, *, keep_s: int = KEEP_S) -> int:
    """Delete what is older than `keep_s`, but for the last of it; returns how many rows went.

    The last one tells from where on this is all there was.
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
