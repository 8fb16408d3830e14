"""Which products a search finds, in order, a page of them, and what all of them are like."""

from collections.abc import Mapping
from functools import partial
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from db.find_facets import FACETS, LOTS, Counted, bits_of, failed
from db.finding import Matched
from domain.search import Place, Sort

# So many are looked at one by one; of more, about so many are, so that no search takes long.
COUNTED_MAX, SAMPLE = 3_000, 1_500


class _Order(msgspec.Struct, frozen=True):
    """What hits are ordered by, how a place tells it, and how that is read again."""

    key: LiteralString
    told: LiteralString = "{it}::text"
    read: LiteralString = "%(key)s::bigint"
    down: bool = True


_NEWEST = _Order(
    "d.published_at",
    told="(extract(epoch FROM {it}) * 1000000)::bigint::text",
    read="(timestamptz 'epoch' + %(key)s::bigint * interval '1 microsecond')",
)
_ORDERS: Mapping[Sort, _Order] = {
    Sort.RELEVANCE: _Order("{rank}"),
    Sort.NEWEST: _NEWEST,
    # What has no price in the currency comes last, either way.
    Sort.PRICE: _Order("coalesce({price}, 9223372036854775807)", down=False),
    Sort.PRICE_DOWN: _Order("coalesce({price}, -1)"),
    # Of equal stars, those of more reviews.
    Sort.RATING: _Order("(coalesce(d.stars, 0)::bigint * 10000000 + least(d.reviews, 9999999))"),
    Sort.NAME: _Order("d.name", read="%(key)s::text", down=False),
}

_BASE: LiteralString = """
    SELECT d.product_id, d.lot, {key} AS place, d.category_id, {price} AS price,
           {available} AS available, d.stars, d.attributes, {failed} AS failed
    FROM search_documents d WHERE {where}
    """
# With a text all that it finds is read, once, for the page, the total and what it is like.
_TEXTED: LiteralString = """
    WITH base AS MATERIALIZED ({base}),
    size AS MATERIALIZED (
        SELECT count(*) AS matched, count(*) FILTER (WHERE failed = 0) AS total,
               CASE WHEN count(*) <= %(most)s THEN %(all)s
                    ELSE greatest(1, %(all)s::bigint * %(sample)s / count(*)) END AS lots
        FROM base
    ), hits AS MATERIALIZED (
        SELECT base.* FROM base, size WHERE lot < lots AND failed = ANY (%(counted)b::integer[])
    )
    (SELECT 'hit', {told}, NULL::bigint, product_id FROM base WHERE failed = 0 AND {beyond}
     ORDER BY base.place {way}, product_id {way} LIMIT %(limit)s)
    UNION ALL SELECT 'matched', NULL, matched, NULL FROM size
    UNION ALL SELECT 'total', NULL, total, NULL FROM size
    UNION ALL SELECT 'lots', NULL, lots, NULL FROM size
    """
# Without one it is the shop, or a part of it, and an index may lead along the order.
_BROWSED: LiteralString = """
    (SELECT 'hit', {told}, NULL::bigint, d.product_id FROM search_documents d
     WHERE {where} AND {filtered} AND {beyond}
     ORDER BY {key} {way}, d.product_id {way} LIMIT %(limit)s)
    """
# How many there are if they are few; else how many lots of all documents make a sample.
_MEASURED: LiteralString = """
    SELECT CASE WHEN count(*) <= %(most)s THEN %(all)s ELSE (
        SELECT greatest(1, %(all)s::bigint * %(sample)s / greatest(reltuples, %(most)s))
        FROM pg_class WHERE oid = 'search_documents'::regclass) END::integer
    FROM (SELECT FROM search_documents d WHERE {where} LIMIT %(most)s + 1) AS base
    """
_LOOKED_AT: LiteralString = """
    WITH hits AS MATERIALIZED (
        SELECT * FROM ({base} AND d.lot < %(lots)s) AS base
        WHERE failed = ANY (%(counted)b::integer[])
    )
    SELECT 'total', NULL, count(*), NULL::uuid FROM hits WHERE failed = 0
    """


class Row(msgspec.Struct, frozen=True):
    """A hit, its key being the value, or a count of those that have the value."""

    kind: str
    value: str
    count: int
    product_id: UUID


class Listed(msgspec.Struct, frozen=True):
    """A page of hits; the total is an estimate unless all were counted.

    `matched` counts what has the words, whatever it is filtered by; without a text it is 0.
    """

    hits: list[Row]
    matched: int
    total: int
    exact: bool
    counted: Counted


async def page(
    tx: AsyncConnection, matched: Matched, *, after: Place | None, limit: int, facets: bool
) -> Listed:
    """Find the `limit` hits that come after a place, and count them all."""
    given = {
        **matched.given,
        **bits_of(matched.scope),
        "after": after and after.id,
        "key": after and after.key,
        "limit": limit,
        "most": COUNTED_MAX,
        "sample": SAMPLE,
        "all": LOTS,
    }
    counts: LiteralString = FACETS if facets else ""
    write = partial(_written, matched, further=after is not None)
    if matched.texted:
        rows = await fetch(tx, Row, write(_TEXTED + counts), given)
        lots = next(row.count for row in rows if row.kind == "lots")
        return _listed(rows, lots, exact=True)
    rows = await fetch(tx, Row, write(_BROWSED), given)
    [lots] = await fetch(tx, int, write(_MEASURED), given)
    rows += await fetch(tx, Row, write(_LOOKED_AT + counts), {**given, "lots": lots})
    return _listed(rows, lots, exact=lots == LOTS)


def _listed(rows: list[Row], lots: int, *, exact: bool) -> Listed:
    times = LOTS / lots
    total = next(row.count for row in rows if row.kind == "total")
    matched = next((row.count for row in rows if row.kind == "matched"), 0)
    hits = [row for row in rows if row.kind == "hit"]
    return Listed(
        hits, matched, total if exact else round(total * times), exact, Counted(rows, times)
    )


def _written(matched: Matched, text: LiteralString, *, further: bool) -> LiteralString:
    scope = matched.scope
    order = _ORDERS[scope.wanted.order]
    way: tuple[LiteralString, LiteralString] = ("DESC", "<") if order.down else ("ASC", ">")
    it: LiteralString = "base.place" if matched.texted else "{key}"
    at: LiteralString = "product_id" if matched.texted else "d.product_id"
    beyond: LiteralString = f"({it}, {at}) {way[1]} ({order.read}, %(after)s::uuid)"
    return (
        text.replace("{base}", _BASE)
        .replace("{beyond}", beyond if further else "true")
        .replace("{told}", order.told)
        .replace("{it}", it)
        .replace("{key}", order.key)
        .replace("{rank}", matched.rank)
        .replace("{price}", scope.price)
        .replace("{available}", scope.available)
        .replace("{failed}", failed(scope))
        .replace("{filtered}", scope.filtered)
        .replace("{where}", matched.where)
        .replace("{way}", way[0])
    )
