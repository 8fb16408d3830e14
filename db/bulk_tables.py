"""The tables of bulks: each with how far it has come, and what it changed of every task."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Named,
    Table,
    Text,
    TypedColumns,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.metadata import maybe_moment, metadata, moment


class TaskBulkColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    action: Named[str] = Column(Text())
    filter: Named[dict[str, Any]] = Column(JSONB())
    undoes: Named[UUID | None] = Column(
        Uuid(), ForeignKey("task_bulks.id", ondelete="CASCADE"), unique=True
    )
    per_s: Named[int] = Column(Integer())
    note: Named[str | None] = Column(Text())
    asked_by: Named[UUID | None] = Column(Uuid())
    state: Named[str] = Column(Text(), server_default="running")
    id_seen: Named[int] = Column(BigInteger(), server_default=text("0"))
    id_max: Named[int] = Column(BigInteger())
    matched: Named[int] = Column(BigInteger())
    changed: Named[int] = Column(BigInteger(), server_default=text("0"))
    gone: Named[int] = Column(BigInteger(), server_default=text("0"))
    left_out: Named[dict[str, Any]] = Column(JSONB(), server_default=text("'{}'"))
    created_at: Named[datetime] = moment()
    stepped_at: Named[datetime] = moment()
    finished_at: Named[datetime | None] = maybe_moment()


class TaskBulkItemColumns(TypedColumns):
    bulk_id: Named[UUID] = Column(
        Uuid(), ForeignKey("task_bulks.id", ondelete="CASCADE"), primary_key=True
    )
    task_id: Named[int] = Column(BigInteger(), primary_key=True, autoincrement=False)
    at: Named[datetime] = moment()
    state: Named[str] = Column(Text())
    to_state: Named[str] = Column(Text())
    attempt: Named[int] = Column(Integer())
    attempts_max: Named[int] = Column(Integer())
    run_at: Named[datetime] = Column(DateTime(timezone=True))
    finished_at: Named[datetime | None] = maybe_moment()


task_bulks = Table("task_bulks", metadata, TaskBulkColumns)
task_bulk_items = Table("task_bulk_items", metadata, TaskBulkItemColumns)

Index(
    "task_bulks_running",
    task_bulks.c.action,
    task_bulks.c.filter,
    unique=True,
    postgresql_where=text("state = 'running' AND undoes IS NULL"),
)
