"""Card numbers, which we never take: found wherever a customer may have typed one."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import ClassVar, cast

from domain.refusal import Refusal

# The numbers that are issued (ISO/IEC 7812): how they begin, and of how many digits they are.
_LENGTHS = range(13, 20)
_ISSUED = re.compile(
    r"""
    4 (?: \d{12} | \d{15} | \d{18} )                        # Visa
    | (?= \d{16}$ ) (?: 5[1-5] | 222[1-9] | 22[3-9] | 2[3-6] | 27[01] | 2720 ) \d*  # Mastercard
    | 3[47] \d{13}                                           # American Express
    | (?: 30[0-5] | 309 | 36 | 38 | 39 ) \d{11,17}           # Diners
    | (?: 352[89] | 35[3-8] ) \d{12,16}                      # JCB
    | (?: 6011 | 64[4-9] | 65 | 62 ) \d{11,17}               # Discover, UnionPay
    | 220[0-4] \d{12,15}                                     # Mir
    | (?: 50 | 5[6-8] | 6[37] ) \d{11,17}                    # Maestro
    """,
    re.VERBOSE | re.ASCII,
)

# Groups of digits as they stand on a card, and what people write between them.
_GROUP = re.compile(r"\d+")
# American Express and Diners, and what is left of a number after its bank's.
_UNEVEN = frozenset({(4, 6, 5), (4, 6, 4), (6, 10), (6, 13)})
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
    """Raise CardNumberRefused for an Idempotency-Key, which is kept."""
    if looks_like_card_number(key):
        raise CardNumberRefused(
            "It looks like a card number: send a key that says nothing, e.g. a UUID.",
            field="Idempotency-Key",
        )


def looks_like_card_number(text: str) -> bool:
    """Tell whether digits in a text, together or in groups, pass for a card number."""
    return any(_is_card_number(digits) for digits in _candidates(_RANDOM.sub("x", text)))


def _candidates(text: str) -> Iterator[str]:
    """Join neighbouring groups of digits, from each on, as long as they fit on a card."""
    run: list[str] = []
    end = 0
    for group in _GROUP.finditer(text):
        if not _BETWEEN.fullmatch(text, end, group.start()):
            run.clear()
        run = [*run[1 - _LENGTHS.stop :], group[0]]
        end = group.end()
        for first in range(len(run)):
            if _is_written_so(run[first:]):
                yield "".join(run[first:])


def _is_written_so(groups: Sequence[str]) -> bool:
    """Tell whether a card number is grouped like that: in equal parts, the last one shorter."""
    sizes = [len(group) for group in groups]
    return tuple(sizes) in _UNEVEN or (len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0])


def _is_card_number(digits: str) -> bool:
    """Check length, first digits and check digit (Luhn, ISO/IEC 7812-1 annex B)."""
    if len(digits) not in _LENGTHS or not _ISSUED.fullmatch(str(int(digits))):
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
