"""The catalogue: a tree of categories, products with their variants, and lists of prices."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# What has a SKU is a variant; the release before this one calls it a product, and reads and
# writes it through the view, which goes with the next release. ON CONFLICT works on it, too.
VARIANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('products') AND relkind = 'r') THEN
        ALTER TABLE products RENAME TO variants;
        ALTER INDEX products_pkey RENAME TO variants_pkey;
    END IF;
END $$;
CREATE OR REPLACE VIEW products AS
    SELECT sku, name, price_minor, currency, active, version, created_at, updated_at FROM variants;
"""

CATEGORIES = """
CREATE TABLE IF NOT EXISTS categories (
    id uuid PRIMARY KEY,
    parent_id uuid REFERENCES categories (id),
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    name text NOT NULL,
    rank integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CHECK (parent_id <> id)
);
CREATE INDEX IF NOT EXISTS categories_parent ON categories (parent_id, rank, id);
"""

PRODUCTS = """
CREATE TABLE IF NOT EXISTS catalogue_products (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    category_id uuid REFERENCES categories (id),
    attributes jsonb NOT NULL DEFAULT '{}',
    images jsonb NOT NULL DEFAULT '[]',
    keywords text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'active', 'archived')),
    published_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX IF NOT EXISTS catalogue_products_category ON catalogue_products (category_id, id)
    WHERE deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS catalogue_products_status ON catalogue_products (status, id)
    WHERE deleted_at IS NULL;
"""

# Constants as defaults are kept in the catalogue of Postgres: no row is rewritten.
DETAILS = """
ALTER TABLE variants
    ADD COLUMN IF NOT EXISTS product_id uuid,
    ADD COLUMN IF NOT EXISTS barcode text,
    ADD COLUMN IF NOT EXISTS options jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS compare_at_minor bigint,
    ADD COLUMN IF NOT EXISTS cost_minor bigint,
    ADD COLUMN IF NOT EXISTS weight_g integer,
    ADD COLUMN IF NOT EXISTS tax_class text NOT NULL DEFAULT 'standard',
    ADD COLUMN IF NOT EXISTS rank integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT IF EXISTS variants_product_id_fkey,
    ADD CONSTRAINT variants_product_id_fkey FOREIGN KEY (product_id)
        REFERENCES catalogue_products (id) NOT VALID,
    DROP CONSTRAINT IF EXISTS variants_compare_at_minor_check,
    ADD CONSTRAINT variants_compare_at_minor_check CHECK (compare_at_minor > 0) NOT VALID,
    DROP CONSTRAINT IF EXISTS variants_cost_minor_check,
    ADD CONSTRAINT variants_cost_minor_check CHECK (cost_minor >= 0) NOT VALID,
    DROP CONSTRAINT IF EXISTS variants_weight_g_check,
    ADD CONSTRAINT variants_weight_g_check CHECK (weight_g >= 0) NOT VALID,
    DROP CONSTRAINT IF EXISTS variants_tax_class_check,
    ADD CONSTRAINT variants_tax_class_check
        CHECK (tax_class IN ('standard', 'reduced', 'zero')) NOT VALID;
"""
VALID = (
    "variants_product_id_fkey",
    "variants_compare_at_minor_check",
    "variants_cost_minor_check",
    "variants_weight_g_check",
    "variants_tax_class_check",
)

PRICES = """
CREATE TABLE IF NOT EXISTS price_lists (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    priority integer NOT NULL DEFAULT 0,
    valid_from timestamptz,
    valid_to timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CHECK (valid_from < valid_to)
);
CREATE TABLE IF NOT EXISTS price_list_entries (
    sku text NOT NULL REFERENCES variants (sku),
    list_id uuid NOT NULL REFERENCES price_lists (id),
    price_minor bigint NOT NULL CHECK (price_minor > 0),
    compare_at_minor bigint CHECK (compare_at_minor > 0),
    PRIMARY KEY (sku, list_id)
);
CREATE INDEX IF NOT EXISTS price_list_entries_list ON price_list_entries (list_id, sku);
"""

INDEXES = {
    "variants_product": """
        CREATE INDEX CONCURRENTLY IF NOT EXISTS variants_product
        ON variants (product_id, rank, sku) WHERE product_id IS NOT NULL
        """,
    "variants_barcode": """
        CREATE INDEX CONCURRENTLY IF NOT EXISTS variants_barcode
        ON variants (barcode) WHERE barcode IS NOT NULL
        """,
}


def upgrade() -> None:
    """Rename and create at once, then validate and index beside the traffic."""
    for statements in (VARIANTS, CATEGORIES, PRODUCTS, DETAILS, PRICES):
        op.execute(statements)
    with op.get_context().autocommit_block():
        for constraint in VALID:
            op.execute(
                "-- squawk-ignore prefer-robust-stmts\n"
                f"ALTER TABLE variants VALIDATE CONSTRAINT {constraint}"
            )
        for name, created in INDEXES.items():
            # One that was not finished stands there, unused, and would do for IF NOT EXISTS.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(created)
