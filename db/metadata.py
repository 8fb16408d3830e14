"""What all tables have in common: where they are gathered, and columns that several have."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Table, func, text

metadata = MetaData()


def moment() -> Column[datetime]:
    """Make a column that says when its row was written."""
    return Column(DateTime(timezone=True), server_default=func.now(), nullable=False)


def maybe_moment() -> Column[datetime | None]:
    """Make a column for what may never happen."""
    return Column(DateTime(timezone=True), nullable=True)


def xid() -> Column[int | None]:
    """Make a column that says which transaction wrote its row: the auditor finds it by that."""
    return Column(BigInteger(), server_default=text("((pg_current_xact_id())::text)::bigint"))


def index_grown(table: Table, column: str) -> Index:
    """Index a column by which the table only grows, so that like values lie together."""
    kept = {"pages_per_range": 16, "autosummarize": True}
    name = f"{table.name}_{column}"
    return Index(name, table.c[column], postgresql_using="brin", postgresql_with=kept)
