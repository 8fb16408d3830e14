"""Measure how long searches take among many products: `python -m ops.bench.search`."""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from db.engine import connect
from db.finds import Finds
from domain.search import Place, Sort, Wanted
from ops.bench import goods
from ops.bench.books import opened
from ops.bench.rig import migrate
from ops.config import Settings
from ops.local.child import Say
from ops.local.console import console
from ops.local.interrupt import run_until_told
from ops.local.servers import servers
from ops.local.state import CannotStart

PRODUCTS = 100_000
# Searches of each kind; every kind comes as often.
ROUNDS = 40
# How many pages of a list somebody goes through who goes through many.
DEEP_PAGES = 10
_PAGE = 20
_NO_REDIS = "redis://not-needed"

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds of a search with its page and facets, of all kinds and of each."""

    products: int
    searches: int
    search_p50_ms: float
    search_p95_ms: float
    search_max_ms: float
    by_kind_p95_ms: Mapping[str, float]


def slip(word: str, dice: random.Random) -> str:
    """Have a word as fingers make it: a letter lost, doubled, replaced, or two swapped."""
    at = dice.randrange(1, len(word))
    match dice.randrange(4):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + word[at - 1] + word[at:]
        case 2:
            return word[:at] + dice.choice(_LETTERS) + word[at + 1 :]
        case _:
            return word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]


def draw(dice: random.Random) -> dict[str, Wanted]:
    """Make a search of each kind, as shops get them."""
    words = [word for word in dice.choice(goods.NAMES).split() if word.isalpha() and word[3:]]
    words = words[:3] or ["VINTAGE"]
    text, shelf = " ".join(words), f"shelf-{dice.randrange(goods.CATEGORIES * goods.BELOW)}"
    slipped = " ".join([slip(words[0].lower(), dice), *words[1:]])
    low = dice.choice((200, 500, 1000))
    return {
        "words": Wanted(text),
        "one word": Wanted(words[0]),
        "common word": Wanted(dice.choice(("pink", "set", "blue", "heart", "glass"))),
        "begun": Wanted(text[: max(3, len(text) - 3)]),
        "two letters": Wanted(words[0][:2]),
        "slip": Wanted(slipped),
        "sku": Wanted(f"P{dice.randrange(PRODUCTS)}-0"),
        "nothing": Wanted("xyzzyq " + words[0][::-1]),
        "category": Wanted(category=shelf),
        "department": Wanted(category=f"top-{dice.randrange(goods.CATEGORIES)}", available=True),
        "whole shop": Wanted(),
        "filtered": Wanted(
            words[0],
            currency="GBP",
            price_from_minor=low,
            price_to_minor=4 * low,
            available=True,
            attributes={"colour": dice.sample(goods.COLOURS, 2)},
        ),
        "by price": Wanted(words[0], currency="GBP", sort=Sort.PRICE),
        "by rating": Wanted(text, rating_from=3, sort=Sort.RATING),
        "deep page": Wanted(words[0], sort=Sort.NAME),
    }


async def measure(database_url: str, *, rounds: int = ROUNDS, seed: int = 1) -> Measured:
    """Search a database in which `fill` has written, one search at a time."""
    database = connect(Settings(database_url=database_url), name="bench", ring=lambda _: None)
    dice = random.Random(seed)  # noqa: S311 - variety, no secret
    took: dict[str, list[float]] = {}
    try:
        for n in range(rounds + 1):
            for kind, wanted in draw(dice).items():
                took_ms = await _time(Finds(database), wanted, deep=kind == "deep page")
                # The first round warms up.
                if n:
                    took.setdefault(kind, []).append(took_ms)
    finally:
        await database.engine.dispose()
    everything = [ms for each in took.values() for ms in each]
    return Measured(
        products=PRODUCTS,
        searches=len(everything),
        search_p50_ms=_quantile(everything, 0.5),
        search_p95_ms=_quantile(everything, 0.95),
        search_max_ms=round(max(everything), 1),
        by_kind_p95_ms={kind: _quantile(each, 0.95) for kind, each in took.items()},
    )


async def _time(finds: Finds, wanted: Wanted, *, deep: bool) -> float:
    after: Place | None = None
    for _ in range(DEEP_PAGES if deep else 0):
        found = await finds.search(wanted, after=after, limit=_PAGE, facets=False)
        after = found.next or after
    began = time.perf_counter()
    await finds.search(wanted, after=after, limit=_PAGE, facets=after is None)
    return (time.perf_counter() - began) * 1000


def _quantile(values: Sequence[float], part: float) -> float:
    return round(sorted(values)[int(part * (len(values) - 1))], 1)


async def fill(database_url: str, *, products: int = PRODUCTS) -> None:
    """Write the catalogue that is searched; takes about half a minute."""
    async with opened(database_url) as connection:
        await goods.write(connection, goods.products(products))


@asynccontextmanager
async def postgres(state: Path, say: Say) -> AsyncGenerator[str]:
    """Start a Postgres of its own, migrated."""
    environ = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    async with servers(state, environ | {"REDIS_URL": _NO_REDIS}, say=say) as up:
        await migrate(environ | {"DATABASE_URL": up.database_url}, say)
        yield up.database_url


async def _run(state: Path, say: Say, rounds: int) -> Measured:
    async with postgres(state, say) as url:
        began = time.monotonic()
        await fill(url)
        say("bench", f"{PRODUCTS:,} products written in {time.monotonic() - began:.0f} s")
        return await measure(url, rounds=rounds)


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.search", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wanted = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="orderflow-search-") as state:
        try:
            measured = run_until_told(_run(Path(state), console(), wanted.rounds))
        except CannotStart as error:
            sys.stderr.write(f"{error}\n")
            return 1
    if measured is None:
        return 130
    sys.stdout.write(f"{msgspec.json.encode(measured).decode()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
