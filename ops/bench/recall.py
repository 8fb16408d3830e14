"""Measure what search finds in spite of slips: `python -m ops.bench.recall FILE`.

FILE has a product name per line, or is a CSV with a column `Description`.
"""

import argparse
import csv
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from db.engine import connect
from db.finds import Finds
from domain.search import Wanted
from ops.bench import goods
from ops.bench.books import opened
from ops.bench.goods import Product
from ops.bench.search import postgres, slip
from ops.config import Settings
from ops.local.child import Say
from ops.local.console import console
from ops.local.interrupt import run_until_told
from ops.local.state import CannotStart

# What a first screen shows.
FIRST = 10
# Searches of each kind.
SEARCHES = 500
# A word is misspelt if it has so many letters, and twice if it has so many.
_ONE_SLIP_FROM, _TWO_SLIPS_FROM = 4, 7
# People type the first words of a name, so many.
WORDS = 4

Misspell = Callable[[str, random.Random], str]


class Recall(msgspec.Struct, frozen=True):
    """Of the searches for a product by its name, the part that has it among the first ten."""

    names: int
    searches: int
    recall_at_10: float
    by_kind: Mapping[str, float]


def _swapped(word: str, dice: random.Random) -> str:
    at = dice.randrange(1, len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _cut(word: str, dice: random.Random) -> str:
    return word[: -dice.randint(1, 2)]


KINDS: Mapping[str, tuple[int, Misspell]] = {
    "as it is": (1, lambda word, _: word),
    "one slip": (_ONE_SLIP_FROM, slip),
    "swapped letters": (_ONE_SLIP_FROM, _swapped),
    "two slips in a long word": (_TWO_SLIPS_FROM, lambda w, dice: slip(slip(w, dice), dice)),
    "last letters missing": (_ONE_SLIP_FROM + 1, _cut),
}


def names_of(file: Path) -> list[str]:
    """Read the names of a file, each once, those of at least two words of letters."""
    with file.open(newline="", encoding="utf-8", errors="replace") as lines:
        head = lines.readline()
        lines.seek(0)
        if "Description" in head:
            found = [row["Description"] or "" for row in csv.DictReader(lines)]
        else:
            found = list(lines)
    known = dict.fromkeys(" ".join(name.split()) for name in found)
    return [name for name in known if name.upper() == name and len(_letters(name)) > 1]


def _letters(name: str) -> list[str]:
    return [word for word in name.split() if word.isalpha()]


def misspelt(name: str, kind: str, dice: random.Random, *, words: int = WORDS) -> str | None:
    """Write the first words of a name with one of them misspelt, None if none is long enough."""
    least, misspell = KINDS[kind]
    typed = name.lower().split()[:words]
    places = [n for n, word in enumerate(typed) if word.isalpha() and len(word) >= least]
    if not places:
        return None
    at = dice.choice(places)
    return " ".join([*typed[:at], misspell(typed[at], dice), *typed[at + 1 :]])


async def measure(database_url: str, names: Sequence[str], *, words: int = WORDS) -> Recall:
    """Put products of these names on the shelves, and search for them."""
    [example] = goods.products(1)
    async with opened(database_url) as connection:
        await goods.write(connection, (_named(example, n, name) for n, name in enumerate(names)))
    database = connect(Settings(database_url=database_url), name="bench", ring=lambda _: None)
    dice = random.Random(1)  # noqa: S311 - variety, no secret
    try:
        search = partial(_found, Finds(database), names, words, dice)
        found = {kind: await search(kind) for kind in KINDS}
    finally:
        await database.engine.dispose()
    return Recall(
        names=len(names),
        searches=SEARCHES * len(KINDS),
        recall_at_10=round(sum(found.values()) / len(found), 3),
        by_kind={kind: round(part, 3) for kind, part in found.items()},
    )


def _named(example: Product, number: int, name: str) -> Product:
    change = msgspec.structs.replace
    variants = [change(v, sku=f"P{number}-{n}") for n, v in enumerate(example.variants)]
    return change(
        example,
        id=type(example.id)(int=example.id.int + number),
        slug=f"product-{number}",
        name=name,
        description="",
        variants=variants,
    )


async def _found(
    finds: Finds, names: Sequence[str], words: int, dice: random.Random, kind: str
) -> float:
    asked = found = 0
    while asked < SEARCHES:
        name = dice.choice(names)
        text = misspelt(name, kind, dice, words=words)
        if text is None:
            continue
        asked += 1
        page = await finds.search(Wanted(text), after=None, limit=FIRST, facets=False)
        found += name in {hit.name for hit in page.hits}
    return found / asked


async def _run(file: Path, words: int, state: Path, say: Say) -> Recall:
    async with postgres(state, say) as url:
        return await measure(url, names_of(file), words=words)


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.recall", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--words", type=int, default=WORDS, help="how many of a name are typed")
    wanted = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="orderflow-recall-") as state:
        try:
            measured = run_until_told(_run(wanted.file, wanted.words, Path(state), console()))
        except CannotStart as error:
            sys.stderr.write(f"{error}\n")
            return 1
    if measured is None:
        return 130
    sys.stdout.write(f"{msgspec.json.encode(measured).decode()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
