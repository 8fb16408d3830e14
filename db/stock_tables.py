"""The table of what people did to stock, beside the stock itself."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    Named,
    Table,
    Text,
    TypedColumns,
    Uuid,
)

from db.metadata import metadata, moment


class StockMovementColumns(TypedColumns):
    sku: Named[str] = Column(Text(), primary_key=True)
    version: Named[int] = Column(Integer(), primary_key=True, autoincrement=False)
    at: Named[datetime] = moment()
    cause: Named[str] = Column(Text())
    actor: Named[UUID | None] = Column(Uuid())
    on_hand_delta: Named[int] = Column(BigInteger())
    on_hand: Named[int] = Column(BigInteger())
    note: Named[str | None] = Column(Text())


stock_movements = Table("stock_movements", metadata, StockMovementColumns)
