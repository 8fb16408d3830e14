"""The tables of carts as SQLAlchemy knows them; checks stand in the migrations."""

from datetime import datetime
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
from sqlalchemy.dialects.postgresql import ARRAY

from db.metadata import metadata, moment


class CartColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    user_id: Named[UUID | None] = Column(Uuid())
    token_hash: Named[bytes | None] = Column(LargeBinary())
    currency: Named[str] = Column(Text())
    state: Named[str] = Column(Text(), server_default="open")
    order_id: Named[UUID | None] = Column(Uuid())
    merged_into: Named[UUID | None] = Column(Uuid())
    codes: Named[list[str]] = Column(ARRAY(Text()), server_default=text("'{}'"))
    version: Named[int] = Column(Integer(), server_default=text("1"))
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()


class CartLineColumns(TypedColumns):
    cart_id: Named[UUID] = Column(
        Uuid(), ForeignKey("carts.id", ondelete="CASCADE"), primary_key=True
    )
    sku: Named[str] = Column(Text(), primary_key=True)
    quantity: Named[int] = Column(Integer())
    seen_minor: Named[int | None] = Column(BigInteger())
    seen: Named[str | None] = Column(Text())
    added_at: Named[datetime] = moment()


carts = Table("carts", metadata, CartColumns)
cart_lines = Table("cart_lines", metadata, CartLineColumns)

_OPEN = carts.c.state == "open"
Index("carts_account", carts.c.user_id, unique=True, postgresql_where=_OPEN)
Index(
    "carts_order",
    carts.c.order_id,
    unique=True,
    postgresql_where=carts.c.order_id.is_not(None),
)
Index(
    "carts_merged_into",
    carts.c.merged_into,
    postgresql_where=carts.c.merged_into.is_not(None),
)
Index("carts_user", carts.c.user_id, postgresql_where=carts.c.user_id.is_not(None))
Index("carts_updated", carts.c.updated_at)
