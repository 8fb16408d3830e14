"""The tables of reviews as SQLAlchemy knows them; checks stand in the migration."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Named,
    Sequence,
    SmallInteger,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    Uuid,
)

from db.metadata import maybe_moment, metadata, moment

# One for all reviews: a version is never given twice, not even to one that was deleted between.
_VERSIONS = Sequence("review_versions", metadata=metadata)


class ReviewColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    product_id: Named[UUID] = Column(Uuid(), ForeignKey("catalogue_products.id"))
    user_id: Named[UUID] = Column(Uuid(), ForeignKey("users.id"))
    order_id: Named[UUID] = Column(Uuid(), ForeignKey("orders.id"))
    stars: Named[int] = Column(SmallInteger())
    title: Named[str | None] = Column(Text())
    text: Named[str | None] = Column(Text())
    author: Named[str | None] = Column(Text())
    state: Named[str] = Column(Text())
    reason: Named[str | None] = Column(Text())
    moderated_by: Named[UUID | None] = Column(Uuid())
    moderated_at: Named[datetime | None] = maybe_moment()
    version: Named[int] = Column(BigInteger(), server_default=_VERSIONS.next_value())
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()


class ProductRatingColumns(TypedColumns):
    product_id: Named[UUID] = Column(Uuid(), ForeignKey("catalogue_products.id"), primary_key=True)
    reviews: Named[int] = Column(BigInteger(), server_default="0")
    stars: Named[int] = Column(BigInteger(), server_default="0")


reviews = Table("reviews", metadata, ReviewColumns, UniqueConstraint("user_id", "product_id"))
product_ratings = Table("product_ratings", metadata, ProductRatingColumns)

_SHOWN = reviews.c.state == "published"
Index("reviews_newest", reviews.c.product_id, reviews.c.id, postgresql_where=_SHOWN)
Index(
    "reviews_by_stars",
    reviews.c.product_id,
    reviews.c.stars,
    reviews.c.id,
    postgresql_where=_SHOWN,
)
Index("reviews_of_product", reviews.c.product_id, reviews.c.version)
Index("reviews_in_state", reviews.c.state, reviews.c.version)
