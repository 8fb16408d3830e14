"""Upkeep of search: what has turned since it was written down, and words that nothing has."""

from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run

# Stock that turned, whose products are looked at in one transaction; a second brings the next.
TURNED_BATCH_MAX = 200
# Words that are looked up at a time, and the lots of a thousand in which all are counted.
_WORDS_MAX = 200
_LOTS = 100


async def settle(tx: AsyncConnection, *, limit: int = TURNED_BATCH_MAX) -> int:
    """Write down which products can be bought, of those that turned; returns how many SKUs did."""
    [turned] = await fetch(
        tx,
        int,
        """
        WITH turned AS (
            DELETE FROM search_stale WHERE id IN (
                SELECT id FROM search_stale ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
            RETURNING sku
        ), noted AS (
            INSERT INTO search_pending (product_ids)
            SELECT array_agg(DISTINCT v.product_id) FROM turned JOIN variants v USING (sku)
            WHERE v.product_id IS NOT NULL HAVING count(*) > 0
        )
        SELECT count(*) FROM turned
        """,
        {"limit": limit},
    )
    return turned


async def tidy(tx: AsyncConnection) -> None:
    """Count words anew, in every tenth document, and forget some that no document has any more."""
    await run(
        tx,
        """
        UPDATE search_words w SET documents = c.documents FROM (
            SELECT lexeme, 10 * count(*)::integer AS documents
            FROM search_documents, unnest(tsvector_to_array(words || document)) AS lexeme
            WHERE lot < %(lots)s GROUP BY lexeme
        ) AS c
        WHERE w.word = c.lexeme AND w.documents <> c.documents
        """,
        {"lots": _LOTS},
    )
    await run(
        tx,
        """
        DELETE FROM search_words WHERE word IN (
            SELECT word FROM (
                SELECT word FROM search_words ORDER BY random() LIMIT %(limit)s
            ) AS drawn
            WHERE NOT EXISTS (
                SELECT FROM search_documents
                WHERE (words || document) @@ ('''' || word || '''')::tsquery))
        """,
        {"limit": _WORDS_MAX},
    )
