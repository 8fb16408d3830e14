"""Reviews of products by who bought them, and the rating that they come to."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

REVIEWS = """
CREATE SEQUENCE IF NOT EXISTS review_versions;
CREATE TABLE IF NOT EXISTS reviews (
    id uuid PRIMARY KEY,
    product_id uuid NOT NULL REFERENCES catalogue_products (id),
    user_id uuid NOT NULL REFERENCES users (id),
    order_id uuid NOT NULL REFERENCES orders (id),
    stars smallint NOT NULL CHECK (stars BETWEEN 1 AND 5),
    title text,
    text text,
    author text,
    state text NOT NULL CHECK (state IN ('pending', 'published', 'rejected')),
    reason text,
    moderated_by uuid,
    moderated_at timestamptz,
    version bigint NOT NULL DEFAULT nextval('review_versions'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'rejected') = (reason IS NOT NULL)),
    UNIQUE (user_id, product_id)
);
CREATE INDEX IF NOT EXISTS reviews_newest ON reviews (product_id, id) WHERE state = 'published';
CREATE INDEX IF NOT EXISTS reviews_by_stars ON reviews (product_id, stars, id)
    WHERE state = 'published';
CREATE INDEX IF NOT EXISTS reviews_of_product ON reviews (product_id, version);
CREATE INDEX IF NOT EXISTS reviews_in_state ON reviews (state, version);
"""

# Whoever writes a review holds its row of these, so that the sums are exact.
RATINGS = """
CREATE TABLE IF NOT EXISTS product_ratings (
    product_id uuid PRIMARY KEY REFERENCES catalogue_products (id),
    reviews bigint NOT NULL DEFAULT 0 CHECK (reviews >= 0),
    stars bigint NOT NULL DEFAULT 0,
    CHECK (stars BETWEEN reviews AND 5 * reviews)
);
"""


def upgrade() -> None:
    """Create what is new."""
    for statements in (REVIEWS, RATINGS):
        op.execute(statements)
