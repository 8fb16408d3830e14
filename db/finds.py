"""Finding products by what people type: the engine of search that is in Postgres itself."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import LiteralString

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import find_hits, find_pages, find_words
from db.engine import Database, fetch, reading
from db.find_facets import told
from db.find_pages import COUNTED_MAX, Listed
from db.find_tree import Tree
from db.find_words import Term
from db.finding import Matched, Scope, everything, match, scope_of
from domain.search import Found, Place, Sort, Wanted

# A search that takes longer is hostile, or the machine is: it is given up, and says so.
TIMEOUT_MS = 2_000
# If nothing has all the words, what has one of so many will do.
_SOME_WORDS_MAX = 3
# The session looks rows up by key; here it is many at once. Each text has a plan of its own.
_PLANS: LiteralString = """
    SELECT set_config('statement_timeout', %(timeout)s, true),
           set_config('plan_cache_mode', 'force_custom_plan', true),
           set_config('enable_seqscan', 'on', true), set_config('enable_hashjoin', 'on', true),
           set_config('work_mem', '32MB', true), set_config('jit', 'off', true),
           set_config('max_parallel_workers_per_gather', '0', true)
    """


class Finds(msgspec.Struct, frozen=True):
    """Searches in a transaction of its own; see `domain.search.Engine`."""

    database: Database

    async def search(
        self, wanted: Wanted, *, after: Place | None, limit: int, facets: bool
    ) -> Found:
        """Find public products, a page of them, with or without facets, all as of one moment."""
        async with reading(self.database) as tx:
            await fetch(tx, lambda *_: None, _PLANS, {"timeout": f"{TIMEOUT_MS}ms"})
            tree = await Tree.read(tx)
            scope = await scope_of(tx, wanted, tree)
            find = partial(find_pages.page, tx, after=after, limit=limit + 1, facets=facets)
            matched, listed = await _find(tx, scope, find)
            shown = listed.hits[:limit]
            hits = await find_hits.show(tx, matched, [hit.product_id for hit in shown])
        following = None
        if len(listed.hits) > limit:
            last = shown[-1]
            key = last.value if wanted.order is Sort.NAME else int(last.value)
            following = Place(key, last.product_id)
        return Found(
            total=listed.total,
            exact=listed.exact,
            corrected=matched.corrected,
            every_word=matched.every_word,
            hits=hits,
            facets=told(listed.counted, tree) if facets else None,
            next=following,
        )


async def _find(
    tx: AsyncConnection, scope: Scope, find: Callable[[Matched], Awaitable[Listed]]
) -> tuple[Matched, Listed]:
    """Understand the text in the way that finds something: as typed, corrected, or in part."""
    text = scope.wanted.text
    if text is None:
        matched = everything(scope)
        return matched, await find(matched)
    coded = await _coded(tx, text)
    terms = await find_words.read(tx, text)
    matched = match(scope, terms, coded)
    listed = await find(matched)
    if coded or listed.matched:
        return matched, listed
    doubted = match(scope, await find_words.read(tx, text, correct=True), coded)
    listed = await find(doubted)
    if listed.matched:
        return doubted, listed
    if len(terms) > 1:
        matched = match(scope, _rarest(terms), coded, every_word=False)
        listed = await find(matched)
    return matched, listed


def _rarest(terms: Sequence[Term]) -> list[Term]:
    """Keep the words that say most: those of few documents, and one at least.

    What has any of many common words is half the shop, which nobody asked for.
    """
    kept, documents = list[Term](), 0
    for term in sorted(terms, key=lambda term: term.documents):
        documents += term.documents
        if not kept or (documents <= COUNTED_MAX and len(kept) < _SOME_WORDS_MAX):
            kept.append(term)
    return [term for term in terms if term in kept]


async def _coded(tx: AsyncConnection, text: str) -> list[str]:
    """Find the products that have the text as a SKU or a barcode."""
    code = text.strip()
    return await fetch(
        tx,
        str,
        """
        SELECT DISTINCT product_id::text FROM variants
        WHERE active AND product_id IS NOT NULL
          AND (sku = ANY (%(codes)b::text[]) OR barcode = %(code)s)
        LIMIT 100
        """,
        {"code": code, "codes": [code, code.upper(), code.lower()]},
    )
