"""Discounts, shipping and taxes: how they are set up, and what of them is in an order."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Constants as defaults are kept in the catalogue of Postgres: no row is rewritten, and what the
# release before this one writes has no discount, no shipping and no tax.
ORDERS = """
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS discount_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS shipping_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tax_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tax_included boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS shipping_tax_ppm integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS discounts jsonb NOT NULL DEFAULT '[]',
    DROP CONSTRAINT IF EXISTS orders_priced_check,
    ADD CONSTRAINT orders_priced_check CHECK (
        discount_minor >= 0 AND shipping_minor >= 0 AND tax_minor >= 0 AND shipping_tax_ppm >= 0
    ) NOT VALID;
ALTER TABLE order_lines
    ADD COLUMN IF NOT EXISTS discount_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tax_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tax_ppm integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT IF EXISTS order_lines_priced_check,
    ADD CONSTRAINT order_lines_priced_check CHECK (
        discount_minor BETWEEN 0 AND quantity * unit_minor AND tax_minor >= 0 AND tax_ppm >= 0
    ) NOT VALID;
"""
VALID = {"orders": "orders_priced_check", "order_lines": "order_lines_priced_check"}

# `uses` is counted while there is a limit, under the lock of the row; the check is the last word.
DISCOUNTS = """
CREATE TABLE IF NOT EXISTS discounts (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    code text CHECK (code = upper(code)),
    kind text NOT NULL CHECK (kind IN ('percentage', 'fixed', 'free_shipping')),
    value bigint NOT NULL,
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    skus text[],
    minimum_minor bigint NOT NULL DEFAULT 0 CHECK (minimum_minor >= 0),
    combines boolean NOT NULL DEFAULT true,
    starts_at timestamptz,
    ends_at timestamptz,
    uses_max bigint CHECK (uses_max > 0),
    uses_per_customer_max bigint CHECK (uses_per_customer_max > 0),
    uses bigint NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CHECK (starts_at < ends_at),
    CHECK (uses BETWEEN 0 AND coalesce(uses_max, uses)),
    CHECK (CASE kind WHEN 'percentage' THEN value BETWEEN 1 AND 10000
           WHEN 'fixed' THEN value > 0 AND currency IS NOT NULL ELSE value = 0 END),
    CHECK (minimum_minor = 0 OR currency IS NOT NULL)
);
CREATE UNIQUE INDEX IF NOT EXISTS discounts_code ON discounts (code)
    WHERE code IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS discounts_automatic ON discounts (id)
    WHERE code IS NULL AND deleted_at IS NULL;
CREATE TABLE IF NOT EXISTS discount_redemptions (
    order_id uuid NOT NULL REFERENCES orders (id),
    discount_id uuid NOT NULL REFERENCES discounts (id),
    mailbox text NOT NULL,
    user_id uuid,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    given_back_at timestamptz,
    PRIMARY KEY (order_id, discount_id)
);
CREATE INDEX IF NOT EXISTS discount_redemptions_mailbox
    ON discount_redemptions (discount_id, mailbox) WHERE given_back_at IS NULL;
CREATE INDEX IF NOT EXISTS discount_redemptions_user
    ON discount_redemptions (discount_id, user_id)
    WHERE given_back_at IS NULL AND user_id IS NOT NULL;
"""

RATES = """
CREATE TABLE IF NOT EXISTS tax_rates (
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    part text NOT NULL DEFAULT '' CHECK (part = upper(part)),
    standard_ppm integer NOT NULL CHECK (standard_ppm BETWEEN 0 AND 1000000),
    reduced_ppm integer CHECK (reduced_ppm BETWEEN 0 AND 1000000),
    version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (country, part)
);
CREATE TABLE IF NOT EXISTS shipping_rates (
    country text NOT NULL CHECK (country ~ '^([A-Z]{2}|[*])$'),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    free_from_minor bigint CHECK (free_from_minor > 0),
    version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (country, currency)
);
"""


def upgrade() -> None:
    """Create and add at once, then validate beside the traffic."""
    for statements in (ORDERS, DISCOUNTS, RATES):
        op.execute(statements)
    with op.get_context().autocommit_block():
        for table, constraint in VALID.items():
            op.execute(
                "-- squawk-ignore prefer-robust-stmts\n"
                f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}"
            )
