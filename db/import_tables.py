"""The tables of imports: what came, how far it was read, the lines that wait to be published."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Named,
    Table,
    Text,
    TypedColumns,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.metadata import maybe_moment, metadata, moment


def _of_import() -> Column[UUID]:
    return Column(Uuid(), ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)


class ImportColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    format: Named[str] = Column(Text())
    on_error: Named[str] = Column(Text())
    dry_run: Named[bool] = Column()
    state: Named[str] = Column(Text(), server_default="uploading")
    bytes: Named[int] = Column(BigInteger(), server_default=text("0"))
    bytes_read: Named[int] = Column(BigInteger(), server_default=text("0"))
    line: Named[int] = Column(Integer(), server_default=text("1"))
    columns: Named[list[Any] | None] = Column(JSONB())
    rows: Named[int] = Column(Integer(), server_default=text("0"))
    bad: Named[int] = Column(Integer(), server_default=text("0"))
    products: Named[int | None] = Column(Integer())
    variants: Named[int | None] = Column(Integer())
    prices: Named[int | None] = Column(Integer())
    asked_by: Named[UUID | None] = Column(Uuid())
    created_at: Named[datetime] = moment()
    finished_at: Named[datetime | None] = maybe_moment()


class ImportPartColumns(TypedColumns):
    import_id: Named[UUID] = _of_import()
    place: Named[int] = Column(BigInteger(), primary_key=True, autoincrement=False)
    content: Named[bytes] = Column(LargeBinary())


class ImportRowColumns(TypedColumns):
    import_id: Named[UUID] = _of_import()
    line: Named[int] = Column(Integer(), primary_key=True, autoincrement=False)
    product_id: Named[UUID] = Column(Uuid())
    slug: Named[str | None] = Column(Text())
    sku: Named[str | None] = Column(Text())
    parent: Named[str | None] = Column(Text())
    product: Named[dict[str, Any] | None] = Column(JSONB())
    variant: Named[dict[str, Any] | None] = Column(JSONB())
    prices: Named[list[Any]] = Column(JSONB())
    bad: Named[bool] = Column(server_default=text("false"))


class ImportErrorColumns(TypedColumns):
    import_id: Named[UUID] = _of_import()
    line: Named[int] = Column(Integer(), primary_key=True, autoincrement=False)
    field: Named[str | None] = Column(Text())
    detail: Named[str] = Column(Text())


imports = Table("imports", metadata, ImportColumns)
import_parts = Table("import_parts", metadata, ImportPartColumns)
import_rows = Table("import_rows", metadata, ImportRowColumns)
import_errors = Table("import_errors", metadata, ImportErrorColumns)

Index("imports_created", imports.c.created_at)
Index(
    "import_rows_sku",
    import_rows.c.import_id,
    import_rows.c.sku,
    import_rows.c.line,
    postgresql_where=import_rows.c.sku.is_not(None),
)
Index(
    "import_rows_slug",
    import_rows.c.import_id,
    import_rows.c.slug,
    import_rows.c.line,
    postgresql_where=import_rows.c.slug.is_not(None),
)
