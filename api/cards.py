"""Card numbers, which we never take: found wherever a customer may have typed one."""

import json
import re
from collections.abc import Iterator
from typing import ClassVar, cast

from domain.refusal import Refusal

# ISO/IEC 7812: the lengths in use, and the first digits of American Express and Diners (3), Visa
# (4), Mastercard (5, and 2 as well, which is rare) and Discover, Maestro and UnionPay (6).
_LENGTHS = range(13, 20)
_FIRST = frozenset("3456")

# Groups of digits as they stand on a card, and what people write between them.
_GROUP = re.compile(r"\d+")
_BETWEEN = re.compile(r"[\s_.,/\u2010-\u2015-]{1,3}")

# Nearly no body holds so many digits, or an escape that may hide what stands between them, so
# nearly none is looked at any closer.
_MAYBE = re.compile(rb"[0-9](?:[\s_.,/-]{0,3}[0-9]){12}|\\")

# Of random UUIDs one in eight hundred has digits that pass for a card number; so have digests.
_RANDOM = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32,}", re.IGNORECASE
)

# They hold numbers of our own: an EAN has thirteen digits, too.
_OURS = frozenset({"sku", "quantity"})


class CardNumberRefused(Refusal):
    """The request holds what looks like a card number: only tokens of the gateway are taken."""

    code: ClassVar[str] = "card_number_refused"


def refuse_card_numbers(body: bytes) -> None:
    """Raise CardNumberRefused that names the field, and does not repeat it.

    What is no JSON is left to be refused as that.
    """
    if body.isascii() and not _MAYBE.search(body):
        return
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return
    field = next((at for at, text in _texts(document) if looks_like_card_number(text)), None)
    if field is not None:
        raise CardNumberRefused(
            "It looks like a card number: send a token of the gateway, e.g. pm_card_visa.",
            field=field,
        )


def refuse_card_number_as_key(key: str) -> None:
    """Raise CardNumberRefused for an Idempotency-Key, which is kept, unless it is a random one."""
    if looks_like_card_number(_RANDOM.sub("x", key)):
        raise CardNumberRefused(
            "It looks like a card number: send a key that says nothing, e.g. a UUID.",
            field="Idempotency-Key",
        )


def looks_like_card_number(text: str) -> bool:
    """Tell whether digits in a text, together or in groups, pass for a card number."""
    return any(_is_card_number(digits) for digits in _candidates(text))


def _candidates(text: str) -> Iterator[str]:
    """Join neighbouring groups of digits, from each on, as long as they fit on a card."""
    run: list[str] = []
    end = 0
    for group in _GROUP.finditer(text):
        if not _BETWEEN.fullmatch(text, end, group.start()):
            run.clear()
        run = [*run[1 - _LENGTHS.stop :], group[0]]
        end = group.end()
        yield from ("".join(run[first:]) for first in range(len(run)))


def _is_card_number(digits: str) -> bool:
    """Check length, first digit and check digit (Luhn, ISO/IEC 7812-1 annex B)."""
    if len(digits) not in _LENGTHS or str(int(digits[0])) not in _FIRST:
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def _texts(value: object, at: str = "") -> Iterator[tuple[str, str]]:
    """Give every text and number of a document that is not ours, and where it stands."""
    if isinstance(value, dict):
        for name, inner in cast("dict[str, object]", value).items():
            if name not in _OURS:
                yield from _texts(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            yield from _texts(inner, f"{at}[{index}]")
    elif isinstance(value, str) or type(value) is int:
        yield at, str(value)
