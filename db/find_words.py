"""The words of a search: which of them the shop knows, and what the others may have meant."""

from collections.abc import Sequence
from typing import LiteralString

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch
from domain.search import TEXT_WORDS_MAX

# One slip is forgiven from so many letters on, a second one from so many.
ONE_SLIP_FROM, TWO_SLIPS_FROM = 3, 6
# Of a word that is not known, so many others are looked for instead.
MEANT_MAX = 8
# A word is completed from so many letters on: below, everything begins with it.
PREFIX_FROM = 2
# How many more letters than were typed a word may have that is completed in spite of a slip.
_SLIPPED_PREFIX_FROM = 4
# Among so many neighbours, those in the most documents first, the nearest are found.
_NEIGHBOURS_MAX = 400


class Meant(msgspec.Struct, frozen=True):
    """A word that was meant, so many slips away."""

    word: str
    slips: int


class Term(msgspec.Struct, frozen=True):
    """A word of the text; without a stem it says little, like "the".

    Either it is known, or it begins what is completed, or else others are `meant`.
    """

    word: str
    stem: str | None
    documents: int
    prefix: bool = False
    meant: Sequence[Meant] = ()


class _Read(msgspec.Struct):
    word: str
    stem: str | None
    documents: int
    known: bool
    completed: bool
    near: list[str]


_WORDS: LiteralString = """
    SELECT t.word, search_stem(t.word), coalesce(k.documents, 0),
           t.word ~ '[0-9]' OR length(t.word) < 2 OR k.known IS NOT NULL,
           EXISTS (SELECT FROM search_words w
                   WHERE w.word ~>=~ t.word AND w.word ~<~ (t.word || chr(1114111))),
           CASE WHEN %(correct)s OR k.known IS NULL THEN ARRAY(
               SELECT w.word FROM search_words w
               WHERE w.named AND w.word <> t.word AND w.forms && search_forms(t.word)
               ORDER BY w.documents DESC, w.word LIMIT %(neighbours)s) ELSE '{}' END
    FROM unnest(search_words_of(%(text)s)) WITH ORDINALITY AS t (word, n)
    LEFT JOIN LATERAL (
        SELECT true AS known, sum(w.documents)::integer AS documents FROM search_words w
        WHERE w.word = t.word OR w.stem = search_stem(t.word) HAVING count(*) > 0
    ) AS k ON true
    ORDER BY n LIMIT %(limit)s
    """


async def read(tx: AsyncConnection, text: str, *, correct: bool = False) -> list[Term]:
    """Read a text as words, the first `TEXT_WORDS_MAX` of it; `correct` doubts all of them.

    The last one is completed, as somebody may still be typing it.
    """
    given = {
        "text": text,
        "correct": correct,
        "neighbours": _NEIGHBOURS_MAX,
        "limit": TEXT_WORDS_MAX,
    }
    found = await fetch(tx, _Read, _WORDS, given)
    terms = [
        _term(one, last=one is found[-1] and not text[-1:].isspace(), correct=correct)
        for one in found
    ]
    # Words such as "of" and "the" count only if there are no others.
    return [term for term in terms if term.stem is not None] or terms


def _term(one: _Read, *, last: bool, correct: bool) -> Term:
    completed = len(one.word) >= PREFIX_FROM and (last or (one.completed and not one.known))
    settled = one.known or (one.completed and completed)
    meant = () if settled and not correct else meanings(one.word, one.near, last=last)
    return Term(one.word, one.stem, one.documents, completed, meant)


def meanings(word: str, near: Sequence[str], *, last: bool) -> tuple[Meant, ...]:
    """Choose what is at most as many slips away as the word has room for, the nearest first.

    A slip is a letter too many, too few, another one, or two that changed places. Of the last
    word the beginning of another one will do.
    """
    from rapidfuzz.distance import OSA  # noqa: PLC0415 - 6 MB that a process without search saves

    room = (len(word) >= ONE_SLIP_FROM) + (len(word) >= TWO_SLIPS_FROM)
    found = list[tuple[int, int, Meant]]()
    for place, other in enumerate(near):
        slips = OSA.distance(word, other, score_cutoff=room)
        if last and slips > room and len(word) >= _SLIPPED_PREFIX_FROM:
            begins = (other[: len(word) + more] for more in (0, 1, -1))
            slips = 1 + min(OSA.distance(word, each, score_cutoff=1) for each in begins)
        if 0 < slips <= room:
            # People seldom slip on the first letter.
            found.append((2 * slips + (word[0] != other[0]), place, Meant(other, slips)))
    return tuple(meant for *_, meant in sorted(found, key=lambda one: one[:2])[:MEANT_MAX])
