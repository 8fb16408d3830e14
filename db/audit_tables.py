"""The table in which the auditor keeps how far it has looked, in one row."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Named, Table, Text, TypedColumns, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY

from db.metadata import maybe_moment, metadata


class AuditProgressColumns(TypedColumns):
    one: Named[bool] = Column(primary_key=True, server_default=text("true"))
    seen: Named[str] = Column(Text())
    waiting: Named[list[UUID]] = Column(ARRAY(Uuid()), server_default=text("'{}'"))
    rolled_to: Named[UUID | None] = Column(Uuid())
    rolled_at: Named[datetime | None] = maybe_moment()
    looked_at: Named[datetime | None] = maybe_moment()


audit_progress = Table("audit_progress", metadata, AuditProgressColumns)
