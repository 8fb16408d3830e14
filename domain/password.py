"""Passwords: which may be chosen (NIST SP 800-63B-4 §3.1.1), without rules of composition."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import ClassVar

from domain.refusal import Refusal

# For a password that alone opens an account (§3.1.1.2).
LENGTH_MIN = 15
# The standard wants 64 at least; this bounds what is hashed.
LENGTH_MAX = 256
# What must be left when the words that are known of somebody are taken out.
_OWN_CHARS_MIN = 8
# A shorter piece, repeated, is no password of fifteen characters.
_PIECE_CHARS_MIN = 8
_WORDS_OF_OURS = ("orderflow", "password")
# Lines of keyboards and alphabets, along which fingers run in either direction.
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "1234567890",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "1q2w3e4r5t6y7u8i9o0p",
)
_CYCLES = tuple(line[::step] * 2 for line in _RUNS for step in (1, -1))
# What people put around a common password; it does not make it another one.
_TRIMMINGS = re.compile(r"^[\W\d_]+|[\W\d_]+$")


class PasswordRefused(Refusal):
    """The password is too short, too long, or one of those that are tried first."""

    code: ClassVar[str] = "password_refused"


def normalized(password: str) -> str:
    """Give the one form of what looks the same, before it is hashed (§3.1.1.2, NFKC)."""
    return unicodedata.normalize("NFKC", password)


def check(
    password: str, *, common: Collection[str], words: Iterable[str], field: str = "password"
) -> None:
    """Raise PasswordRefused unless it may be chosen.

    `common` are the passwords tried first, in lower case; `words` are known of who chooses.
    """
    if len(password) < LENGTH_MIN:
        raise PasswordRefused(
            f"Too short: take {LENGTH_MIN} characters or more, e.g. four unrelated words.",
            field=field,
        )
    if len(password) > LENGTH_MAX:
        raise PasswordRefused(f"Too long: take {LENGTH_MAX} characters at most.", field=field)
    folded = normalized(password).casefold()
    if _is_common(folded, common) or _is_simple(folded):
        raise PasswordRefused(
            "It is among those that are tried first: take one that nobody else would.", field=field
        )
    if _is_about(folded, words):
        raise PasswordRefused(
            "It says who or where you are: take words that have nothing to do with you.",
            field=field,
        )


def _is_common(folded: str, common: Collection[str]) -> bool:
    trimmed = _TRIMMINGS.sub("", folded)
    return any(text in common or _piece(text) in common for text in (folded, trimmed))


def _is_simple(folded: str) -> bool:
    """Tell whether it is a short piece repeated, or a run along a keyboard or an alphabet."""
    return len(_piece(folded)) < _PIECE_CHARS_MIN or any(
        _piece(folded) in line or folded in line for line in _CYCLES
    )


def _piece(text: str) -> str:
    """Give the shortest piece that makes the text when repeated, its last copy cut anywhere."""
    for length in range(1, len(text)):
        if text[length:] == text[:-length]:
            return text[:length]
    return text


def _is_about(folded: str, words: Iterable[str]) -> bool:
    known = {word.casefold() for word in (*_WORDS_OF_OURS, *words)}
    for word in sorted(known, key=len, reverse=True):
        folded = folded.replace(word, "") if len(word) > 2 else folded  # noqa: PLR2004 - initials
    return len(folded) < _OWN_CHARS_MIN
