"""What all tables have in common: where they are gathered, and a column for a moment."""

from datetime import datetime

from sqlalchemy import Column, DateTime, MetaData, func

metadata = MetaData()


def moment() -> Column[datetime]:
    """Make a column that says when its row was written."""
    return Column(DateTime(timezone=True), server_default=func.now(), nullable=False)


def maybe_moment() -> Column[datetime | None]:
    """Make a column for what may never happen."""
    return Column(DateTime(timezone=True), nullable=True)
