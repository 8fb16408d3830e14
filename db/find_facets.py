"""What the hits of a search are like: counted by category, price, availability, stars, traits."""

from collections.abc import Mapping, Sequence
from typing import LiteralString, Protocol
from uuid import UUID

import msgspec

from db.find_tree import Tree
from db.finding import AVAILABLE_BIT, PRICE_BIT, RATING_BIT, Scope
from domain.search import (
    AttributeCount,
    AvailabilityCount,
    Facets,
    PriceCount,
    RatingCount,
)

# Documents are dealt to so many lots; some of these are a sample.
LOTS = 1_000
# Nobody chooses from more.
VALUES_MAX = 100
# Where prices are parted, in minor units: a part holds what is up to about twice as dear.
_PRICES: LiteralString = (
    "100,200,500,1000,2000,5000,10000,20000,50000,100000,200000,500000,1000000,10000000"
)
_LADDER = (0, *map(int, _PRICES.split(",")))
_STARS = (1, 2, 3, 4, 5)

# What stands behind a filter's bit in a statement.
_BITS: Mapping[int, LiteralString] = {
    1: "1", 2: "2", 4: "4", 8: "8", 16: "16", 32: "32", 64: "64", 128: "128", 256: "256",
    512: "512", 1024: "1024", 2048: "2048", 4096: "4096",
}  # fmt: skip
# Of each hit `failed` are the bits of the filters it fails: none counts everywhere, one alone
# counts for the facet of that filter.
FACETS: LiteralString = f"""
    UNION ALL
    SELECT 'category', category_id::text, count(*), NULL FROM hits
    WHERE failed = 0 AND category_id IS NOT NULL GROUP BY category_id
    UNION ALL
    SELECT 'price', width_bucket(price, ARRAY[{_PRICES}]::bigint[])::text, count(*), NULL FROM hits
    WHERE failed IN (0, %(price_bit)s) AND price IS NOT NULL GROUP BY 2
    UNION ALL
    SELECT 'available', available::text, count(*), NULL FROM hits
    WHERE failed IN (0, %(available_bit)s) GROUP BY available
    UNION ALL
    SELECT 'stars', (stars / 100)::text, count(*), NULL FROM hits
    WHERE failed IN (0, %(rating_bit)s) AND stars IS NOT NULL GROUP BY 2
    UNION ALL
    (SELECT 'attribute', attribute, count(*), NULL FROM hits, unnest(attributes) AS attribute
     WHERE failed = 0 OR (failed, split_part(attribute, ':', 1)) IN (
         SELECT * FROM unnest(%(bits)b::integer[], %(names)b::text[]))
     GROUP BY attribute ORDER BY count(*) DESC, attribute LIMIT %(values)s)
    """  # noqa: S608 - texts of ours alone


class Row(Protocol):
    """A count of the hits that have a value."""

    @property
    def kind(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def count(self) -> int: ...


class Counted(msgspec.Struct, frozen=True):
    """Counts as they were read; each stands for `times` as many."""

    rows: Sequence[Row]
    times: float


def bits_of(scope: Scope) -> dict[str, object]:
    """Give what the statement needs to know of the filters."""
    return {
        "counted": [0, *scope.filters],
        "price_bit": PRICE_BIT,
        "available_bit": AVAILABLE_BIT,
        "rating_bit": RATING_BIT,
        "bits": list(scope.attributes.values()),
        "names": list(scope.attributes),
        "values": VALUES_MAX,
    }


def failed(scope: Scope) -> LiteralString:
    """Write which filters a document fails, as bits."""
    bits: list[LiteralString] = [
        f" + CASE WHEN {condition} THEN 0 ELSE {_BITS[bit]} END"
        for bit, condition in scope.filters.items()
    ]
    return "0" + "".join(bits)


def told(counted: Counted, tree: Tree) -> Facets:
    """Make facets of the counts."""
    by: dict[str, dict[str, int]] = {}
    for row in counted.rows:
        by.setdefault(row.kind, {})[row.value] = round((row.count or 0) * counted.times)
    categories = tree.counts({UUID(v): n for v, n in by.get("category", {}).items()})
    return Facets(
        exact=counted.times == 1,
        categories=categories[:VALUES_MAX],
        prices=_prices(by.get("price", {})),
        availability=[
            AvailabilityCount(value == "true", n) for value, n in by.get("available", {}).items()
        ],
        ratings=_ratings(by.get("stars", {})),
        attributes=[
            AttributeCount(name, value, n)
            for attribute, n in by.get("attribute", {}).items()
            for name, _, value in [attribute.partition(":")]
        ],
    )


def _ratings(stars: Mapping[str, int]) -> list[RatingCount]:
    counts = (
        RatingCount(least, sum(n for each, n in stars.items() if int(each) >= least))
        for least in _STARS
    )
    return [one for one in counts if one.count]


def _prices(parts: Mapping[str, int]) -> list[PriceCount]:
    return [
        PriceCount(_LADDER[part], _LADDER[part + 1] if part + 1 < len(_LADDER) else None, n)
        for part, n in sorted((int(part), n) for part, n in parts.items())
    ]
