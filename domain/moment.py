"""Moments that people name, with an offset, for things of a shop."""

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta

Moment = Annotated[datetime, Meta(tz=True)]

# Years beyond these are a mistake, and arithmetic with them may overflow.
YEARS = range(2000, 9000)


def is_far(at: date | datetime) -> bool:
    """Tell whether a day or moment cannot be meant."""
    return at.year not in YEARS


def refuse_far(**days: date | datetime | None) -> None:
    """Raise ValueError, which begins with the field's name, for a day that cannot be meant."""
    for field, at in days.items():
        if at is not None and is_far(at):
            raise ValueError(f"`{field}`: Expected a year from {YEARS.start} to {YEARS.stop - 1}")
