"""The tables of operations: processes that report themselves, and schedules."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Integer, Named, Table, Text, TypedColumns, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from db.metadata import maybe_moment, metadata, moment


class ProcessColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    kind: Named[str] = Column(Text())
    host: Named[str] = Column(Text())
    pid: Named[int] = Column(Integer())
    version: Named[str] = Column(Text())
    rss_bytes: Named[int | None] = Column(BigInteger())
    running: Named[list[dict[str, Any]]] = Column(JSONB(), server_default=text("'[]'"))
    started_at: Named[datetime] = moment()
    heartbeat_at: Named[datetime] = moment()
    stop_asked_at: Named[datetime | None] = maybe_moment()
    stop_asked_by: Named[UUID | None] = Column(Uuid())


class ScheduleColumns(TypedColumns):
    job: Named[str] = Column(Text(), primary_key=True)
    paused: Named[bool] = Column(server_default=text("false"))
    last_run_at: Named[datetime | None] = maybe_moment()
    run_asked_at: Named[datetime | None] = maybe_moment()
    changed_by: Named[UUID | None] = Column(Uuid())
    changed_at: Named[datetime | None] = maybe_moment()


processes = Table("processes", metadata, ProcessColumns)
schedules = Table("schedules", metadata, ScheduleColumns)
