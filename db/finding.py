"""What a search comes down to in SQL: the conditions on a document `d`, its price, its rank."""

from collections.abc import Iterable, Mapping, Sequence
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from db.find_tree import Tree
from db.find_words import Meant, Term
from domain.search import Wanted

# Literals, as nothing else may get into a statement: places of arrays, bits of filters.
_NUMBERS: Sequence[LiteralString] = ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12")
# By the bit of each attribute that is filtered by, its name in a statement.
_ATTRIBUTES: Mapping[int, LiteralString] = {
    8: "a", 16: "b", 32: "c", 64: "d", 128: "e", 256: "f", 512: "g", 1024: "h", 2048: "i", 4096: "j"
}  # fmt: skip
# Price, availability, rating; then the attributes.
PRICE_BIT, AVAILABLE_BIT, RATING_BIT = 1, 2, 4

# What a word adds to the rank, by where it stands. All words as they are typed come before any
# that is only begun, and that before any that was corrected.
_EXACT: LiteralString = """
    CASE WHEN d.words @@ (%(exact)b::text[]::tsquery[])[{n}] THEN 60000
         WHEN d.document @@ (%(exact)b::text[]::tsquery[])[{n}] THEN 50000
         WHEN d.words @@ (%(stem)b::text[]::tsquery[])[{n}] THEN 48000
         WHEN d.document @@ (%(stem)b::text[]::tsquery[])[{n}] THEN 40000"""
_BEGUN: LiteralString = """
         WHEN d.words @@ (%(begun)b::text[]::tsquery[])[{n}] THEN 30000
         WHEN d.document @@ (%(begun)b::text[]::tsquery[])[{n}] THEN 25000"""
_MEANT: LiteralString = """
         WHEN d.words @@ (%(near)b::text[]::tsquery[])[{n}] THEN 14000
         WHEN d.words @@ (%(far)b::text[]::tsquery[])[{n}] THEN 12000
         WHEN d.document @@ (%(any)b::text[]::tsquery[])[{n}] THEN 8000"""
# A name of which the words are more comes first among equals. A SKU or barcode beats all.
_RANK: LiteralString = (
    " + 999 / greatest(d.name_words, 1)"
    " + CASE WHEN d.product_id = ANY (%(coded)b::uuid[]) THEN 1000000000 ELSE 0 END"
)


class Scope(msgspec.Struct, frozen=True):
    """What is searched in, whatever the words: what it is filtered by, and how to price it."""

    wanted: Wanted
    base: Sequence[LiteralString]
    filters: Mapping[int, LiteralString]  # by its bit
    attributes: Mapping[str, int]  # the bit of each that is filtered by
    price: LiteralString
    available: LiteralString
    given: Mapping[str, object]

    @property
    def filtered(self) -> LiteralString:
        """Give the condition that all filters make."""
        return " AND ".join(self.filters.values()) or "true"


class _Turned(msgspec.Struct):
    product_id: UUID
    available: bool


class Matched(msgspec.Struct, frozen=True):
    """What is searched for: the condition that the words make, and what they rank by."""

    scope: Scope
    terms: Sequence[Term]
    where: LiteralString
    rank: LiteralString
    given: Mapping[str, object]
    every_word: bool = True
    texted: bool = True

    @property
    def corrected(self) -> str | None:
        """Give the text as it was understood, if a word of it was corrected."""
        if not any(term.meant for term in self.terms):
            return None
        return " ".join(term.meant[0].word if term.meant else term.word for term in self.terms)


async def scope_of(tx: AsyncConnection, wanted: Wanted, tree: Tree) -> Scope:
    """Make the conditions of a search; raises NotFound for a category that is not there."""
    given: dict[str, object] = {
        "currency": wanted.currency,
        "price_from": wanted.price_from_minor,
        "price_to": wanted.price_to_minor,
        "stars": (wanted.rating_from or 0) * 100,
    }
    base: list[LiteralString] = ["d.published_at <= now()"]
    if wanted.category is not None:
        base.append("d.category_id = ANY (%(categories)b::uuid[])")
        given["categories"] = tree.below(wanted.category)
    price = await _price(tx, wanted.currency, given)
    available = await _available(tx, given)
    filters, attributes = _filters(wanted, price, available, given)
    return Scope(wanted, base, filters, attributes, price, available, given)


def _filters(
    wanted: Wanted, price: LiteralString, available: LiteralString, given: dict[str, object]
) -> tuple[dict[int, LiteralString], dict[str, int]]:
    filters: dict[int, LiteralString] = {}
    if wanted.price_from_minor is not None or wanted.price_to_minor is not None:
        filters[PRICE_BIT] = (
            f"({price}) BETWEEN coalesce(%(price_from)s::bigint, 0)"
            " AND coalesce(%(price_to)s::bigint, 9223372036854775807)"
        )
    if wanted.available is not None:
        filters[AVAILABLE_BIT] = f"({available}) = %(available)s"
        given["available"] = wanted.available
    if wanted.rating_from is not None:
        filters[RATING_BIT] = "d.stars >= %(stars)s::integer"
    attributes: dict[str, int] = {}
    for (bit, n), (name, values) in zip(
        _ATTRIBUTES.items(), wanted.attributes.items(), strict=False
    ):
        attributes[name] = bit
        filters[bit] = f"d.attributes && %(attribute_{n})b::text[]"
        given[f"attribute_{n}"] = [f"{name}:{value}" for value in values]
    return filters, attributes


async def _price(
    tx: AsyncConnection, currency: str | None, given: dict[str, object]
) -> LiteralString:
    """Write the lowest price of a document now, in the currency that is asked for.

    Which lists hold is found now; what each makes the price of a product is kept with it. Where
    two lists meet on a product and the first one has not all of it, it is worked out.
    """
    if currency is None:
        return "NULL::bigint"
    lists = await fetch(
        tx,
        str,
        """
        SELECT id::text FROM price_lists
        WHERE currency = %(currency)s AND deleted_at IS NULL
          AND (valid_from IS NULL OR valid_from <= now()) AND (valid_to IS NULL OR now() < valid_to)
        ORDER BY priority DESC, name
        """,
        {"currency": currency},
    )
    given["lists"] = lists
    own: LiteralString = """
        CASE WHEN d.currency = %(currency)s THEN d.price_minor
             ELSE (d.special ->> %(currency)s)::bigint END"""
    if not lists:
        return own
    listed: LiteralString = "search_price(d.product_id, d.special, %(lists)b::text[], %(currency)s)"
    if len(lists) == 1:
        given["list"] = lists[0]
        listed = "(d.special -> %(list)s ->> 0)::bigint"
    return f"CASE WHEN d.special ?| %(lists)b::text[] THEN {listed} ELSE {own} END"


async def _available(tx: AsyncConnection, given: dict[str, object]) -> LiteralString:
    """Write whether a document can be bought: as it says, or as it is where that has turned."""
    turned = await fetch(
        tx,
        _Turned,
        """
        SELECT v.product_id, bool_or(coalesce(s.on_hand > s.reserved + s.backordered, false))
        FROM variants v LEFT JOIN stock s USING (sku)
        WHERE v.active AND v.product_id IN (
            SELECT t.product_id FROM search_stale JOIN variants t USING (sku))
        GROUP BY v.product_id
        """,
        {},
    )
    if not turned:
        return "d.available"
    given["turned"] = [one.product_id for one in turned]
    given["back"] = [one.product_id for one in turned if one.available]
    return """CASE WHEN d.product_id = ANY (%(turned)b::uuid[])
        THEN d.product_id = ANY (%(back)b::uuid[]) ELSE d.available END"""


def everything(scope: Scope) -> Matched:
    """Match whatever is in scope: there is no text."""
    return Matched(scope, (), " AND ".join(scope.base), "0", scope.given, texted=False)


def match(
    scope: Scope, terms: Sequence[Term], coded: Sequence[str], *, every_word: bool = True
) -> Matched:
    """Match what has every one of the terms, or any of them, and what has been named by a code."""
    queries = [_Queries.of(term) for term in terms]
    parts = [f"({query.any})" for query in queries if query.any]
    given = {
        **scope.given,
        "coded": list(coded),
        "query": (" & " if every_word else " | ").join(parts),
        **{
            name: [getattr(query, name) for query in queries] for name in _Queries.__struct_fields__
        },
    }
    words: LiteralString = "(d.words || d.document) @@ %(query)s::tsquery"
    if coded:
        words = f"({words} OR d.product_id = ANY (%(coded)b::uuid[]))"
    points: list[LiteralString] = [
        _points(term).replace("{n}", n) for n, term in zip(_NUMBERS, terms, strict=False)
    ]
    rank: LiteralString = "(" + " + ".join(points or ["0"]) + _RANK + ")"
    return Matched(
        scope, terms, " AND ".join([*scope.base, words]), rank, given, every_word=every_word
    )


def _points(term: Term) -> LiteralString:
    begun: LiteralString = _BEGUN if term.prefix else ""
    meant: LiteralString = _MEANT if term.meant else ""
    return _EXACT + begun + meant + " ELSE 0 END"


class _Queries(msgspec.Struct, frozen=True):
    """A term in the language of tsquery, by how well a document answers it."""

    exact: str
    stem: str
    begun: str
    near: str
    far: str
    any: str

    @staticmethod
    def of(term: Term) -> "_Queries":
        exact = _quoted(term.word)
        stem = ""
        if term.stem:
            # A word that is its own stem is kept once.
            others = () if term.stem == term.word else (_quoted(term.stem),)
            stem = _joined((_quoted(f"={term.stem}"), *others))
        begun = f"{exact}:*" if term.prefix else ""
        near = _either(meant for meant in term.meant if meant.slips == 1)
        far = _either(meant for meant in term.meant if meant.slips > 1)
        # What is begun may be complete.
        typed = begun or exact
        return _Queries(exact, stem, begun, near, far, _joined((typed, stem, near, far)))


def _either(meant: Iterable[Meant]) -> str:
    return _joined(_quoted(one.word) for one in meant)


def _quoted(lexeme: str) -> str:
    """Quote a lexeme; no word that was cleaned holds a quote or a backslash."""
    return f"'{lexeme}'"


def _joined(parts: Iterable[str]) -> str:
    return " | ".join(part for part in parts if part)
