"""The columns of orders and their lines; what is written with them stands in `tables`."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    Named,
    Text,
    TypedColumns,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.metadata import moment


class OrderColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    email: Named[str] = Column(Text())
    status: Named[str] = Column(Text(), server_default="placed")
    cancel_reason: Named[str | None] = Column(Text())
    currency: Named[str] = Column(Text())
    total_minor: Named[int] = Column(BigInteger())
    payment_method: Named[str] = Column(Text())
    ship_to: Named[dict[str, Any]] = Column(JSONB())
    capture: Named[str] = Column(Text(), server_default="automatic")
    on_decline: Named[str] = Column(Text(), server_default="cancel")
    reserve_for_s: Named[int] = Column(Integer(), server_default=text("3600"))
    reserved_until: Named[datetime | None] = Column(DateTime(timezone=True))
    user_id: Named[UUID | None] = Column(Uuid())
    allow_split: Named[bool] = Column(server_default=text("false"))
    version: Named[int] = Column(Integer())
    traceparent: Named[str | None] = Column(Text())
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()
    discount_minor: Named[int] = Column(BigInteger(), server_default=text("0"))
    shipping_minor: Named[int] = Column(BigInteger(), server_default=text("0"))
    tax_minor: Named[int] = Column(BigInteger(), server_default=text("0"))
    tax_included: Named[bool] = Column(server_default=text("false"))
    shipping_tax_ppm: Named[int] = Column(Integer(), server_default=text("0"))
    discounts: Named[list[Any]] = Column(JSONB(), server_default=text("'[]'"))


class OrderLineColumns(TypedColumns):
    order_id: Named[UUID] = Column(Uuid(), ForeignKey("orders.id"), primary_key=True)
    line: Named[int] = Column(Integer(), primary_key=True, autoincrement=False)
    sku: Named[str] = Column(Text())
    quantity: Named[int] = Column(Integer())
    unit_minor: Named[int] = Column(BigInteger())
    name: Named[str | None] = Column(Text())
    tax_class: Named[str | None] = Column(Text())
    discount_minor: Named[int] = Column(BigInteger(), server_default=text("0"))
    tax_minor: Named[int] = Column(BigInteger(), server_default=text("0"))
    tax_ppm: Named[int] = Column(Integer(), server_default=text("0"))
