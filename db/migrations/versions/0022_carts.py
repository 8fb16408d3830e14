"""Carts: what somebody means to buy, of an account or of whoever holds the secret."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# One cart makes one order, whoever clicks how often: the index on order_id is the last word.
CARTS = """
CREATE TABLE IF NOT EXISTS carts (
    id uuid PRIMARY KEY,
    user_id uuid,
    token_hash bytea CHECK (octet_length(token_hash) = 32),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ordered', 'merged')),
    order_id uuid CHECK ((order_id IS NOT NULL) = (state = 'ordered')),
    merged_into uuid CHECK ((merged_into IS NOT NULL) = (state = 'merged')),
    codes text[] NOT NULL DEFAULT '{}',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(user_id, token_hash) = 1)
);
CREATE UNIQUE INDEX IF NOT EXISTS carts_account ON carts (user_id) WHERE state = 'open';
CREATE UNIQUE INDEX IF NOT EXISTS carts_order ON carts (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS carts_merged_into ON carts (merged_into)
    WHERE merged_into IS NOT NULL;
CREATE INDEX IF NOT EXISTS carts_user ON carts (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS carts_updated ON carts (updated_at);
"""

LINES = """
CREATE TABLE IF NOT EXISTS cart_lines (
    cart_id uuid NOT NULL REFERENCES carts (id) ON DELETE CASCADE,
    sku text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    seen_minor bigint CHECK (seen_minor > 0),
    seen text,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cart_id, sku)
);
"""


def upgrade() -> None:
    """Create what nobody reads or writes yet."""
    op.execute(CARTS)
    op.execute(LINES)
