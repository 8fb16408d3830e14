"""Moments that people name, with an offset, for things of a shop."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

Moment = Annotated[datetime, Meta(tz=True)]

# Years beyond these are a mistake, and arithmetic with them may overflow.
YEARS = range(2000, 9000)


def is_far(at: datetime) -> bool:
    """Tell whether a moment cannot be meant."""
    return at.year not in YEARS


def refuse_far(*moments: datetime | None) -> None:
    """Raise ValueError for a moment that cannot be meant."""
    if any(at is not None and is_far(at) for at in moments):
        raise ValueError(f"Expected a moment of the years {YEARS.start} to {YEARS.stop - 1}")
