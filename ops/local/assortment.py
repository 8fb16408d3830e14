"""An assortment made of articles of a file: categories, products of several variants, prices."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from domain.catalogue import SLUG_CHARS_MAX
from ops.local.invoices import Article

# With fewer of them, what things are called is no category, but chance.
CATEGORY_MIN = 5
OTHER = "other"
# What stands behind a noun without being one: colours, sizes, materials, and what is in a set.
_NO_NOUNS = frozenset(
    (
        *("black", "blue", "brown", "cream", "gold", "green", "grey", "ivory", "pink", "purple"),
        *("red", "silver", "white", "yellow", "paisley", "polkadot", "retrospot", "woodland"),
        *("jumbo", "large", "medium", "mini", "small", "flock", "metal", "wood", "wooden", "zinc"),
        *("assorted", "asst", "asstd", "natural", "and", "the", "with", "for", "pcs"),
    )
)
_WORD = re.compile(r"[a-z]{3,}")
# Codes that differ in what stands behind their five digits are often of one thing.
_VARIED = re.compile(r"(\d{5})([A-Za-z]{1,4})")
# What variants of one thing must have in common in their names.
_SHARED_MIN = 2
_WEEK = timedelta(days=7)


class Category(msgspec.Struct, frozen=True):
    """A category; its parent, if any, stands before it."""

    slug: str
    name: str
    parent: str | None


class Product(msgspec.Struct, frozen=True):
    """A product with the articles that are its variants, by SKU with what tells them apart."""

    slug: str
    name: str
    category: str
    variants: Mapping[str, str | None]


class PriceList(msgspec.Struct, frozen=True):
    """What articles cost in a week in which they did not cost what they mostly do."""

    name: str
    since: datetime
    until: datetime
    prices: Mapping[str, int]


class Assortment(msgspec.Struct, frozen=True):
    """All that is made of the articles of a file."""

    categories: Sequence[Category]
    products: Sequence[Product]
    price_lists: Sequence[PriceList]


def assort(articles: Sequence[Article]) -> Assortment:
    """Sort articles: by what they are called, by the digits of their codes, by week.

    A category is the last noun of names, in the singular, if at least five products have it; the
    word before it makes one below, by the same rule. All others are in `other`.
    """
    families = list(_families(articles))
    nouns = _nouns([name for _, name, _ in families])
    places = [_place(name, nouns) for _, name, _ in families]
    known = Counter(slug for place in places for slug in place)
    chosen = [_category(place, known) for place in places]
    products = [
        Product(_slug(name, code), name, category, of)
        for (code, name, of), category in zip(families, chosen, strict=True)
    ]
    return Assortment(list(_tree(chosen)), products, list(_price_lists(articles)))


def _families(articles: Sequence[Article]) -> Iterable[tuple[str, str, dict[str, str | None]]]:
    """Give code and name of each product, and its variants."""
    groups: dict[str, list[Article]] = defaultdict(list)
    for article in articles:
        varied = _VARIED.fullmatch(article.sku)
        groups[varied[1] if varied else article.sku].append(article)
    for code, group in groups.items():
        shared = _shared([article.name for article in group])
        if len(group) > 1 and len(shared.split()) >= _SHARED_MIN:
            yield code, shared, {a.sku: a.sku[5:] or None for a in group}
        else:
            for article in group:
                yield article.sku, article.name, {article.sku: None}


def _shared(names: Sequence[str]) -> str:
    """Give the words that all names have, as the first has them."""
    others = [set(re.findall(r"\w+", name.casefold())) for name in names]
    words = re.findall(r"\w+", names[0])
    return " ".join(word for word in words if all(word.casefold() in each for each in others))


def _nouns(names: Sequence[str]) -> dict[str, str]:
    """Give the singular of each word that ends a name, where that is known as well."""
    last = {words[-1] for name in names if (words := _words(name))}
    return {word: word[:-1] if word[-1] == "s" and word[:-1] in last else word for word in last}


def _words(name: str) -> list[str]:
    found = _WORD.findall(name.casefold())
    while found and found[-1] in _NO_NOUNS:
        found.pop()
    return found


def _place(name: str, nouns: Mapping[str, str]) -> list[str]:
    """Give the slugs of the categories that a name may be in, the widest first."""
    words = _words(name)
    if not words:
        return []
    noun = nouns[words[-1]]
    narrow = [f"{words[-2]}-{noun}"] if len(words) > 1 else []
    return [noun, *narrow]


def _category(place: Sequence[str], known: Mapping[str, int]) -> str:
    for slug in reversed(place):
        if known[slug] >= CATEGORY_MIN and known[place[0]] >= CATEGORY_MIN:
            return slug
    return OTHER


def _tree(chosen: Iterable[str]) -> Iterable[Category]:
    used = set(chosen)
    tops = {slug.rpartition("-")[2] for slug in used}
    for slug in sorted(tops):
        yield Category(slug, slug.title(), None)
    for slug in sorted(used - tops):
        yield Category(slug, slug.replace("-", " ").title(), slug.rpartition("-")[2])


def _slug(name: str, sku: str) -> str:
    """Make a slug; the SKU in it keeps products of one name apart, its case told by letters."""
    said = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: SLUG_CHARS_MAX // 2].strip("-")
    code = "".join(f"{c.lower()}x" if c.isupper() else c for c in sku)
    code = re.sub(r"[^a-z0-9]+", "-", code).strip("-")
    return f"{said}-{code}".strip("-")[-SLUG_CHARS_MAX:].strip("-")


def _price_lists(articles: Sequence[Article]) -> Iterable[PriceList]:
    weeks: dict[date, dict[str, int]] = defaultdict(dict)
    for article in articles:
        for monday, price_minor in article.weeks.items():
            if price_minor != article.price_minor:
                weeks[monday][article.sku] = price_minor
    for monday, prices in sorted(weeks.items()):
        year, week, _ = monday.isocalendar()
        since = datetime.combine(monday, time(), tzinfo=UTC)
        yield PriceList(f"{year}-w{week:02}", since, since + _WEEK, prices)
