"""A catalogue of as many products as wanted, made of the names of real ones, always the same."""

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString
from uuid import UUID

import msgspec
from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from ops.bench.books import Connection

# Of the data set "Online Retail" (UCI Machine Learning Repository, Daqing Chen, CC BY 4.0).
NAMES = (Path(__file__).parent / "names.txt").read_text().splitlines()
COLOURS = ("black", "blue", "cream", "gold", "green", "ivory", "pink", "red", "silver", "white")
MATERIALS = ("ceramic", "cotton", "glass", "metal", "paper", "porcelain", "wicker", "wood")
SIZES = ("small", "medium", "large")
_SYLLABLES = ("ar", "bel", "cor", "dan", "el", "fi", "gor", "hal", "is", "jo", "kin", "lo", "mar")

# A tree of so many at the top, each with so many below it.
CATEGORIES, BELOW = 12, 14
# Words that few products have are most of the words of a shop.
BRANDS = 2_000
SOLD_OUT, ON_SALE = 0.1, 0.3
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Variant(msgspec.Struct, frozen=True):
    sku: str
    price_minor: int
    options: dict[str, str]
    on_hand: int
    sale_minor: int | None  # what the list of prices says, if it does


class Product(msgspec.Struct, frozen=True):
    id: UUID
    slug: str
    name: str
    description: str
    category: int
    attributes: dict[str, str]
    published_at: datetime
    variants: Sequence[Variant]
    reviews: int
    stars: int  # the sum of them


def products(count: int, *, seed: int = 1) -> Iterator[Product]:
    """Make products; the same seed makes the same."""
    dice = random.Random(seed)  # noqa: S311 - variety, no secret
    brands = ["".join(dice.choices(_SYLLABLES, k=3)) for _ in range(BRANDS)]
    for number in range(count):
        yield _product(number, dice, brands)


def _product(number: int, dice: random.Random, brands: Sequence[str]) -> Product:
    one, other = dice.choice(NAMES).split(), dice.choice(NAMES).split()
    name = " ".join([*one[: dice.randint(2, 4)], *other[-dice.randint(1, 3) :]])
    reviews = dice.choice((0, 0, 0, 1, 3, 12))
    price_minor = round(dice.lognormvariate(6.5, 1.0)) + 20
    return Product(
        id=UUID(int=(0x01900000 << 96) + (7 << 76) + (2 << 62) + number),
        slug=f"product-{number}",
        name=f"{name} {dice.choice(brands)}" if number % 3 == 0 else name,
        description=f"{' '.join(other)} with {' '.join(one).lower()}, by {dice.choice(brands)}.",
        category=dice.randrange(CATEGORIES * BELOW),
        attributes={"colour": dice.choice(COLOURS), "material": dice.choice(MATERIALS)},
        published_at=NOW - timedelta(minutes=dice.randrange(1_000_000)),
        variants=[
            _variant(number, n, price_minor, dice) for n in range(dice.choice((1, 1, 1, 2, 3)))
        ],
        reviews=reviews,
        stars=sum(dice.choice((2, 3, 4, 4, 5, 5)) for _ in range(reviews)),
    )


def _variant(number: int, n: int, price_minor: int, dice: random.Random) -> Variant:
    price = price_minor + 100 * n
    return Variant(
        sku=f"P{number}-{n}",
        price_minor=price,
        options={"size": SIZES[n]},
        on_hand=0 if dice.random() < SOLD_OUT else 50,
        sale_minor=max(1, price * 3 // 4) if dice.random() < ON_SALE else None,
    )


async def write(connection: Connection, made: Iterable[Product]) -> None:
    """Write products with all they need, as an import does: in one transaction, set by set."""
    goods = list(made)
    async with connection.transaction(), connection.cursor() as cursor:
        await cursor.execute("SET LOCAL statement_timeout = 0")
        await _shelve(cursor)
        await _copy(cursor, _PRODUCTS, (_row(product) for product in goods))
        sold = [(product, variant) for product in goods for variant in product.variants]
        await _copy(
            cursor,
            "variants (sku, product_id, name, price_minor, currency, options)",
            (
                (v.sku, p.id, p.name, v.price_minor, "GBP", msgspec.json.encode(v.options).decode())
                for p, v in sold
            ),
        )
        await _copy(cursor, "stock (sku, on_hand)", ((v.sku, v.on_hand) for _, v in sold))
        await _copy(
            cursor,
            "price_list_entries (list_id, sku, price_minor)",
            ((_SALE, v.sku, v.sale_minor) for _, v in sold if v.sale_minor),
        )
        await _copy(
            cursor,
            "product_ratings (product_id, reviews, stars)",
            ((p.id, p.reviews, p.stars) for p in goods if p.reviews),
        )
    await connection.execute("TRUNCATE search_stale")
    await connection.execute("VACUUM (ANALYZE)")


_SALE = UUID(int=1)
_PRODUCTS: LiteralString = (
    "catalogue_products (id, slug, name, description, category_id, attributes, status,"
    " published_at)"
)


def _shelf(number: int) -> UUID:
    return UUID(int=1_000 + number)


def _row(product: Product) -> tuple[object, ...]:
    attributes = msgspec.json.encode(product.attributes).decode()
    return (
        *(product.id, product.slug, product.name, product.description),
        *(_shelf(product.category), attributes, "active", product.published_at),
    )


async def _shelve(cursor: AsyncCursor[TupleRow]) -> None:
    """Write the tree of categories, and the list of prices that holds now."""
    tops = [UUID(int=100 + n) for n in range(CATEGORIES)]
    rows = [(top, None, f"top-{n}", f"Top {n}") for n, top in enumerate(tops)]
    rows += [
        (_shelf(n), tops[n // BELOW], f"shelf-{n}", f"Shelf {n}") for n in range(CATEGORIES * BELOW)
    ]
    await _copy(cursor, "categories (id, parent_id, slug, name)", rows)
    await _copy(cursor, "price_lists (id, name, currency)", [(_SALE, "sale", "GBP")])


async def _copy(
    cursor: AsyncCursor[TupleRow], into: LiteralString, rows: Iterable[Sequence[object]]
) -> None:
    async with cursor.copy(f"COPY {into} FROM STDIN") as to:
        for row in rows:
            await to.write_row(row)
