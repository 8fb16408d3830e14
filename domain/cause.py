"""Causes: what errors have in common once ids, numbers and names are taken out."""

import re

# What differs between two errors of one cause; the longest forms come first.
_VARIABLE = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b[a-z]{2,5}_(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{6,}\b"
    r"|\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{16,}\b|[0-9]+(?:[.,:][0-9]+)*",
    re.IGNORECASE,
)
HOLE = "…"


def cause(error: str | None) -> str:
    """Give an error without what differs from case to case."""
    return _VARIABLE.sub(HOLE, error) if error else "no error is told"


def telling(cause: str) -> str:
    """Give the longest part that all errors of a cause have, by which they can be searched."""
    return max(cause.split(HOLE), key=len).strip()
