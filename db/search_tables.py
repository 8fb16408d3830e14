"""The tables of search, which triggers keep (migration 0024): documents, words, what turned."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Named,
    SmallInteger,
    Table,
    Text,
    TypedColumns,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from db.metadata import metadata


class DocumentColumns(TypedColumns):
    product_id: Named[UUID] = Column(
        Uuid(), ForeignKey("catalogue_products.id", ondelete="CASCADE"), primary_key=True
    )
    lot: Named[int] = Column(SmallInteger())
    category_id: Named[UUID | None] = Column(Uuid())
    published_at: Named[datetime] = Column(DateTime(timezone=True))
    name: Named[str] = Column(Text())
    name_words: Named[int] = Column(SmallInteger())
    price_minor: Named[int | None] = Column(BigInteger())
    currency: Named[str | None] = Column(Text())
    special: Named[dict[str, Any] | None] = Column(JSONB())
    available: Named[bool] = Column()
    stars: Named[int | None] = Column(SmallInteger())
    reviews: Named[int] = Column(Integer(), server_default=text("0"))
    attributes: Named[list[str]] = Column(ARRAY(Text()))
    words: Named[Any] = Column(TSVECTOR(), nullable=False)
    document: Named[Any] = Column(TSVECTOR(), nullable=False)


class WordColumns(TypedColumns):
    word: Named[str] = Column(Text(), primary_key=True)
    stem: Named[str] = Column(Text())
    named: Named[bool] = Column()
    documents: Named[int] = Column(Integer(), server_default=text("0"))
    forms: Named[list[str]] = Column(ARRAY(Text()))


class PendingColumns(TypedColumns):
    id: Named[int] = Column(BigInteger(), Identity(always=True), primary_key=True)
    product_ids: Named[list[UUID]] = Column(ARRAY(Uuid()))


class StaleColumns(TypedColumns):
    id: Named[int] = Column(BigInteger(), Identity(always=True), primary_key=True)
    sku: Named[str] = Column(Text())


documents = Table("search_documents", metadata, DocumentColumns)
words = Table("search_words", metadata, WordColumns)
pending = Table("search_pending", metadata, PendingColumns)
stale = Table("search_stale", metadata, StaleColumns)

Index(
    "search_documents_text",
    documents.c.words.op("||")(documents.c.document),
    postgresql_using="gin",
)
Index("search_documents_category", documents.c.category_id)
Index("search_documents_lot", documents.c.lot)
Index("search_documents_newest", documents.c.published_at.desc(), documents.c.product_id.desc())
Index("search_documents_name", documents.c.name, documents.c.product_id)
Index("search_words_forms", words.c.forms, postgresql_using="gin")
Index("search_words_stem", words.c.stem)
Index("search_words_prefix", words.c.word, postgresql_ops={"word": "text_pattern_ops"})
Index(
    "search_documents_rating",
    text("(coalesce(stars, 0)::bigint * 10000000 + least(reviews, 9999999)) DESC"),
    documents.c.product_id.desc(),
)
