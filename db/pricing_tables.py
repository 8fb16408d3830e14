"""The tables of discounts, shipping and taxes as SQLAlchemy knows them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
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
from sqlalchemy.dialects.postgresql import ARRAY

from db.metadata import maybe_moment, metadata, moment


class DiscountColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    slug: Named[str] = Column(Text(), unique=True)
    code: Named[str | None] = Column(Text())
    kind: Named[str] = Column(Text())
    value: Named[int] = Column(BigInteger())
    currency: Named[str | None] = Column(Text())
    skus: Named[list[str] | None] = Column(ARRAY(Text()))
    minimum_minor: Named[int] = Column(BigInteger(), server_default=text("0"))
    combines: Named[bool] = Column(server_default=text("true"))
    starts_at: Named[datetime | None] = maybe_moment()
    ends_at: Named[datetime | None] = maybe_moment()
    uses_max: Named[int | None] = Column(BigInteger())
    uses_per_customer_max: Named[int | None] = Column(BigInteger())
    uses: Named[int] = Column(BigInteger(), server_default=text("0"))
    version: Named[int] = Column(Integer(), server_default=text("1"))
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()
    deleted_at: Named[datetime | None] = maybe_moment()


class DiscountRedemptionColumns(TypedColumns):
    order_id: Named[UUID] = Column(Uuid(), ForeignKey("orders.id"), primary_key=True)
    discount_id: Named[UUID] = Column(Uuid(), ForeignKey("discounts.id"), primary_key=True)
    mailbox: Named[str] = Column(Text())
    user_id: Named[UUID | None] = Column(Uuid())
    amount_minor: Named[int] = Column(BigInteger())
    created_at: Named[datetime] = moment()
    given_back_at: Named[datetime | None] = maybe_moment()


class TaxRateColumns(TypedColumns):
    country: Named[str] = Column(Text(), primary_key=True)
    part: Named[str] = Column(Text(), primary_key=True, server_default="")
    standard_ppm: Named[int] = Column(Integer())
    reduced_ppm: Named[int | None] = Column(Integer())
    version: Named[int] = Column(Integer(), server_default=text("1"))
    updated_at: Named[datetime] = moment()
    deleted_at: Named[datetime | None] = maybe_moment()


class ShippingRateColumns(TypedColumns):
    country: Named[str] = Column(Text(), primary_key=True)
    currency: Named[str] = Column(Text(), primary_key=True)
    price_minor: Named[int] = Column(BigInteger())
    free_from_minor: Named[int | None] = Column(BigInteger())
    version: Named[int] = Column(Integer(), server_default=text("1"))
    updated_at: Named[datetime] = moment()
    deleted_at: Named[datetime | None] = maybe_moment()


discounts = Table("discounts", metadata, DiscountColumns)
discount_redemptions = Table("discount_redemptions", metadata, DiscountRedemptionColumns)
tax_rates = Table("tax_rates", metadata, TaxRateColumns)
shipping_rates = Table("shipping_rates", metadata, ShippingRateColumns)

_THERE = discounts.c.deleted_at.is_(None)
Index(
    "discounts_code",
    discounts.c.code,
    unique=True,
    postgresql_where=discounts.c.code.is_not(None) & _THERE,
)
Index("discounts_automatic", discounts.c.id, postgresql_where=discounts.c.code.is_(None) & _THERE)
_USED = discount_redemptions.c.given_back_at.is_(None)
Index(
    "discount_redemptions_mailbox",
    discount_redemptions.c.discount_id,
    discount_redemptions.c.mailbox,
    postgresql_where=_USED,
)
Index(
    "discount_redemptions_user",
    discount_redemptions.c.discount_id,
    discount_redemptions.c.user_id,
    postgresql_where=_USED & discount_redemptions.c.user_id.is_not(None),
)
