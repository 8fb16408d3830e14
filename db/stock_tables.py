"""The tables of stock: what there is, and what people did to it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    Named,
    Table,
    Text,
    TypedColumns,
    Uuid,
    text,
)

from db.metadata import metadata, moment


class StockColumns(TypedColumns):
    sku: Named[str] = Column(Text(), ForeignKey("variants.sku"), primary_key=True)
    on_hand: Named[int] = Column(BigInteger())
    reserved: Named[int] = Column(BigInteger(), server_default=text("0"))
    version: Named[int] = Column(Integer(), server_default=text("1"))
    low_at: Named[int | None] = Column(BigInteger())
    updated_at: Named[datetime] = moment()


class StockMovementColumns(TypedColumns):
    sku: Named[str] = Column(Text(), primary_key=True)
    version: Named[int] = Column(Integer(), primary_key=True, autoincrement=False)
    at: Named[datetime] = moment()
    cause: Named[str] = Column(Text())
    actor: Named[UUID | None] = Column(Uuid())
    on_hand_delta: Named[int] = Column(BigInteger())
    on_hand: Named[int] = Column(BigInteger())
    note: Named[str | None] = Column(Text())


stock = Table("stock", metadata, StockColumns)
stock_movements = Table("stock_movements", metadata, StockMovementColumns)
