"""Marking what was searched for: a text in pieces, as it stands, each a hit or not."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

from domain.search import Piece

# What stands around a hit of a long text, on either side.
_AROUND_CHARS = 60
# Endings such as -s, -es and -ing; longer words are others.
_ENDING_CHARS_MAX = 4
_STEM_CHARS_MIN = 3

# A word and the apostrophes and marks in it.
_WORD = re.compile(r"(?:[^\W_]|['\u2019\u0300-\u036f])+")
_DROPPED = re.compile(r"['\u2019\u0300-\u036f]")


class Mark(msgspec.Struct, frozen=True):
    """What counts as a hit: a word, its other forms, what it begins, what it may have meant."""

    word: str
    stem: str | None
    prefix: bool
    meant: Sequence[str]

    @property
    def root(self) -> str:
        """Give what other forms of the word begin with: "cherry" has the stem "cherri"."""
        root = (self.stem or self.word).removesuffix("i")
        return root if self.word.startswith(root) else self.word

    def hits(self, word: str) -> bool:
        """Tell whether a word of a text, as `plain` makes it, is one that was searched for."""
        if word in {self.word, *self.meant} or (self.prefix and word.startswith(self.word)):
            return True
        root = self.root
        return (
            len(root) >= _STEM_CHARS_MIN
            and word.startswith(root)
            and len(word) <= len(self.stem or self.word) + _ENDING_CHARS_MAX
        )


def plain(word: str) -> str:
    """Give a word without case, marks on its letters, and apostrophes."""
    if word.isascii():
        return word.lower().replace("'", "")
    return _DROPPED.sub("", unicodedata.normalize("NFKD", word.lower()))


def marked(text: str, marks: Sequence[Mark]) -> list[Piece]:
    """Part a text at its hits; joined, the pieces are the text."""
    pieces, at = list[Piece](), 0
    for start, end in _found(text, marks):
        if start > at:
            pieces.append(Piece(text[at:start], hit=False))
        pieces.append(Piece(text[start:end], hit=True))
        at = end
    if at < len(text):
        pieces.append(Piece(text[at:], hit=False))
    return pieces


def snippet(text: str, marks: Sequence[Mark]) -> list[Piece] | None:
    """Give what stands around the first hit of a long text, None if there is none."""
    for start, end in _found(text, marks):
        begin = max(0, start - _AROUND_CHARS)
        if begin:
            begin = 1 + text.rfind(" ", 0, begin + 1)
        around = text[begin : end + _AROUND_CHARS]
        if len(text) > end + _AROUND_CHARS:
            around = around[: max(around.rfind(" "), end - begin)]
        return marked(around, marks)
    return None


def _found(text: str, marks: Sequence[Mark]) -> Iterator[tuple[int, int]]:
    # Whatever is a hit begins with one of these, and few other words of a long text do.
    beginnings = tuple({each for mark in marks for each in (mark.root, *mark.meant)})
    for found in _WORD.finditer(text) if marks else ():
        word = plain(found.group())
        if word.startswith(beginnings) and any(mark.hits(word) for mark in marks):
            yield found.span()
