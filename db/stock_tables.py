"""The tables of stock: what there is, where, what is to come, and what people did to it."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Named,
    Table,
    Text,
    TypedColumns,
    Uuid,
    text,
)

from db.metadata import maybe_moment, metadata, moment


class StockColumns(TypedColumns):
    sku: Named[str] = Column(Text(), ForeignKey("variants.sku"), primary_key=True)
    on_hand: Named[int] = Column(BigInteger())
    reserved: Named[int] = Column(BigInteger(), server_default=text("0"))
    version: Named[int] = Column(Integer(), server_default=text("1"))
    low_at: Named[int | None] = Column(BigInteger())
    updated_at: Named[datetime] = moment()
    backordered: Named[int] = Column(BigInteger(), server_default=text("0"))
    backorder_max: Named[int] = Column(BigInteger(), server_default=text("0"))
    available_from: Named[date | None] = Column(Date())
    located: Named[bool] = Column(server_default=text("false"))
    is_low: Named[bool] = Column(server_default=text("false"))


class StockMovementColumns(TypedColumns):
    sku: Named[str] = Column(Text(), primary_key=True)
    version: Named[int] = Column(Integer(), primary_key=True, autoincrement=False)
    at: Named[datetime] = moment()
    cause: Named[str] = Column(Text())
    actor: Named[UUID | None] = Column(Uuid())
    on_hand_delta: Named[int] = Column(BigInteger())
    on_hand: Named[int] = Column(BigInteger())
    note: Named[str | None] = Column(Text())
    location_id: Named[UUID | None] = Column(Uuid())
    level: Named[int | None] = Column(BigInteger())
    incoming_id: Named[UUID | None] = Column(Uuid())


class LocationColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    code: Named[str] = Column(Text(), unique=True)
    name: Named[str] = Column(Text())
    priority: Named[int] = Column(Integer(), server_default=text("0"))
    country: Named[str] = Column(Text())
    postcode: Named[str | None] = Column(Text())
    version: Named[int] = Column(Integer(), server_default=text("1"))
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()
    deleted_at: Named[datetime | None] = maybe_moment()


class StockLevelColumns(TypedColumns):
    sku: Named[str] = Column(Text(), ForeignKey("stock.sku"), primary_key=True)
    location_id: Named[UUID] = Column(Uuid(), ForeignKey("locations.id"), primary_key=True)
    on_hand: Named[int] = Column(BigInteger(), server_default=text("0"))
    reserved: Named[int] = Column(BigInteger(), server_default=text("0"))


class ReservationPartColumns(TypedColumns):
    order_id: Named[UUID] = Column(Uuid(), primary_key=True)
    sku: Named[str] = Column(Text(), primary_key=True)
    location_id: Named[UUID] = Column(Uuid(), primary_key=True)
    quantity: Named[int] = Column(Integer())


class IncomingColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    sku: Named[str] = Column(Text(), ForeignKey("stock.sku"))
    location_id: Named[UUID | None] = Column(Uuid(), ForeignKey("locations.id"))
    quantity: Named[int] = Column(BigInteger())
    received: Named[int] = Column(BigInteger(), server_default=text("0"))
    expected_on: Named[date | None] = Column(Date())
    note: Named[str | None] = Column(Text())
    in_transit: Named[bool] = Column(server_default=text("false"))
    source_id: Named[UUID | None] = Column(Uuid(), ForeignKey("locations.id"))
    cancelled_at: Named[datetime | None] = maybe_moment()
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()


class BackorderColumns(TypedColumns):
    sku: Named[str] = Column(Text(), primary_key=True)
    order_id: Named[UUID] = Column(Uuid(), primary_key=True)
    quantity: Named[int] = Column(Integer())


class StockEventColumns(TypedColumns):
    id: Named[int] = Column(BigInteger(), Identity(always=True), primary_key=True)
    sku: Named[str] = Column(Text())
    kind: Named[str] = Column(Text())
    available: Named[int] = Column(BigInteger())
    low_at: Named[int] = Column(BigInteger())
    at: Named[datetime] = moment()


stock = Table("stock", metadata, StockColumns)
stock_movements = Table("stock_movements", metadata, StockMovementColumns)
locations = Table("locations", metadata, LocationColumns)
stock_levels = Table("stock_levels", metadata, StockLevelColumns)
reservation_parts = Table("reservation_parts", metadata, ReservationPartColumns)
incoming = Table("incoming", metadata, IncomingColumns)
backorders = Table("backorders", metadata, BackorderColumns)
stock_events = Table("stock_events", metadata, StockEventColumns)

Index("stock_levels_location", stock_levels.c.location_id, stock_levels.c.sku)
_OPEN = incoming.c.cancelled_at.is_(None) & (incoming.c.received < incoming.c.quantity)
Index(
    "incoming_open",
    incoming.c.sku,
    incoming.c.expected_on,
    incoming.c.id,
    postgresql_where=_OPEN,
)
