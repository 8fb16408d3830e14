"""API keys as text: made, told apart from typing errors, and hashed."""

import hashlib
import re
import secrets
import zlib

# Scanners for leaked secrets find ours by this beginning.
_BEGINS = "of_live_"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# 62^43 is just above 2^256.
_RANDOM_CHARS = 43
# 62^6 is just above 2^32.
_CHECKSUM_CHARS = 6
# What is kept of a key to know it again: enough for that, and too little to guess the rest.
_SHOWN_CHARS = len(_BEGINS) + 6

_FORM = re.compile(rf"{_BEGINS}[0-9A-Za-z]{{{_RANDOM_CHARS + _CHECKSUM_CHARS}}}")


def mint() -> str:
    """Make a key; it is shown once, and kept as its digest."""
    drawn = "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM_CHARS))
    return f"{_BEGINS}{drawn}{_checksum(drawn)}"


def is_like(text: str) -> bool:
    """Tell whether a text means to be an API key."""
    return text.startswith(_BEGINS)


def is_well_formed(text: str) -> bool:
    """Tell whether a text can be a key of ours; a typing error is found without a database."""
    if not _FORM.fullmatch(text):
        return False
    drawn = text[len(_BEGINS) : -_CHECKSUM_CHARS]
    return text[-_CHECKSUM_CHARS:] == _checksum(drawn)


def _checksum(drawn: str) -> str:
    rest, digits = zlib.crc32(drawn.encode()), ""
    for _ in range(_CHECKSUM_CHARS):
        rest, digit = divmod(rest, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def digest(key: str) -> bytes:
    """Hash a key; no salt and no slowness, as nobody can guess 256 random bits."""
    return hashlib.sha256(key.encode()).digest()


def shown(key: str) -> str:
    """Give the part of a key that may be kept and shown."""
    return key[:_SHOWN_CHARS]
