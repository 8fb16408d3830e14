"""The tables of the catalogue as SQLAlchemy knows them; checks stand in the migrations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from db.metadata import maybe_moment, metadata, moment, xid


class CategoryColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    parent_id: Named[UUID | None] = Column(Uuid(), ForeignKey("categories.id"))
    slug: Named[str] = Column(Text(), unique=True)
    name: Named[str] = Column(Text())
    rank: Named[int] = Column(Integer(), server_default=text("0"))
    version: Named[int] = Column(Integer(), server_default=text("1"))
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()
    deleted_at: Named[datetime | None] = maybe_moment()


class ProductColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    slug: Named[str] = Column(Text(), unique=True)
    name: Named[str] = Column(Text())
    description: Named[str] = Column(Text(), server_default="")
    category_id: Named[UUID | None] = Column(Uuid(), ForeignKey("categories.id"))
    attributes: Named[dict[str, Any]] = Column(JSONB(), server_default=text("'{}'"))
    images: Named[list[Any]] = Column(JSONB(), server_default=text("'[]'"))
    keywords: Named[str] = Column(Text(), server_default="")
    status: Named[str] = Column(Text(), server_default="draft")
    published_at: Named[datetime | None] = maybe_moment()
    version: Named[int] = Column(Integer(), server_default=text("1"))
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()
    deleted_at: Named[datetime | None] = maybe_moment()


class VariantColumns(TypedColumns):
    sku: Named[str] = Column(Text(), primary_key=True)
    name: Named[str] = Column(Text())
    price_minor: Named[int] = Column(BigInteger())
    currency: Named[str] = Column(Text())
    active: Named[bool] = Column(server_default=text("true"))
    version: Named[int] = Column(Integer(), server_default=text("1"))
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()
    product_id: Named[UUID | None] = Column(Uuid(), ForeignKey("catalogue_products.id"))
    barcode: Named[str | None] = Column(Text())
    options: Named[dict[str, Any]] = Column(JSONB(), server_default=text("'{}'"))
    compare_at_minor: Named[int | None] = Column(BigInteger())
    cost_minor: Named[int | None] = Column(BigInteger())
    weight_g: Named[int | None] = Column(Integer())
    tax_class: Named[str] = Column(Text(), server_default="standard")
    rank: Named[int] = Column(Integer(), server_default=text("0"))


class PriceListColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    name: Named[str] = Column(Text(), unique=True)
    currency: Named[str] = Column(Text())
    priority: Named[int] = Column(Integer(), server_default=text("0"))
    valid_from: Named[datetime | None] = maybe_moment()
    valid_to: Named[datetime | None] = maybe_moment()
    version: Named[int] = Column(Integer(), server_default=text("1"))
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()
    deleted_at: Named[datetime | None] = maybe_moment()


class PriceListEntryColumns(TypedColumns):
    sku: Named[str] = Column(Text(), ForeignKey("variants.sku"), primary_key=True)
    list_id: Named[UUID] = Column(Uuid(), ForeignKey("price_lists.id"), primary_key=True)
    price_minor: Named[int] = Column(BigInteger())
    compare_at_minor: Named[int | None] = Column(BigInteger())


class InvalidationColumns(TypedColumns):
    id: Named[int] = Column(BigInteger(), Identity(always=True), primary_key=True)
    xid: Named[int | None] = xid()
    tags: Named[list[str]] = Column(ARRAY(Text()))
    at: Named[datetime] = moment()


categories = Table("categories", metadata, CategoryColumns)
# Until the next release `products` is a view for the one before, see migration 0017.
products = Table("catalogue_products", metadata, ProductColumns)
variants = Table("variants", metadata, VariantColumns)
price_lists = Table("price_lists", metadata, PriceListColumns)
price_list_entries = Table("price_list_entries", metadata, PriceListEntryColumns)
invalidations = Table("invalidations", metadata, InvalidationColumns)

Index("categories_parent", categories.c.parent_id, categories.c.rank, categories.c.id)
_LIVING = products.c.deleted_at.is_(None)
Index(
    "catalogue_products_category",
    products.c.category_id,
    products.c.id,
    postgresql_where=_LIVING,
)
Index("catalogue_products_status", products.c.status, products.c.id, postgresql_where=_LIVING)
Index(
    "variants_product",
    variants.c.product_id,
    variants.c.rank,
    variants.c.sku,
    postgresql_where=variants.c.product_id.is_not(None),
)
Index("variants_barcode", variants.c.barcode, postgresql_where=variants.c.barcode.is_not(None))
Index("price_list_entries_list", price_list_entries.c.list_id, price_list_entries.c.sku)
Index("invalidations_xid", invalidations.c.xid)
