"""Imports of the catalogue: files as they come, and their lines until they are published."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

IMPORTS = """
CREATE TABLE IF NOT EXISTS imports (
    id uuid PRIMARY KEY,
    format text NOT NULL CHECK (format IN ('jsonl', 'csv')),
    on_error text NOT NULL CHECK (on_error IN ('refuse', 'skip')),
    dry_run boolean NOT NULL,
    state text NOT NULL DEFAULT 'uploading' CHECK (state IN
        ('uploading', 'reading', 'publishing', 'done', 'refused', 'cancelled')),
    bytes bigint NOT NULL DEFAULT 0,
    bytes_read bigint NOT NULL DEFAULT 0,
    line integer NOT NULL DEFAULT 1,
    columns jsonb,
    rows integer NOT NULL DEFAULT 0,
    bad integer NOT NULL DEFAULT 0,
    products integer,
    variants integer,
    prices integer,
    asked_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CHECK ((state IN ('done', 'refused', 'cancelled')) = (finished_at IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS imports_created ON imports (created_at);
"""

# The file, cut anywhere: `place` is that of the first byte.
PARTS = """
CREATE TABLE IF NOT EXISTS import_parts (
    import_id uuid NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    place bigint NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (import_id, place)
);
"""

# `product_id` is that of a product that is new; `parent` the slug of that of a variant.
ROWS = """
CREATE TABLE IF NOT EXISTS import_rows (
    import_id uuid NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    line integer NOT NULL,
    product_id uuid NOT NULL,
    slug text,
    sku text,
    parent text,
    product jsonb,
    variant jsonb,
    prices jsonb NOT NULL,
    bad boolean NOT NULL DEFAULT false,
    PRIMARY KEY (import_id, line)
);
CREATE INDEX IF NOT EXISTS import_rows_sku ON import_rows (import_id, sku, line)
    WHERE sku IS NOT NULL;
CREATE INDEX IF NOT EXISTS import_rows_slug ON import_rows (import_id, slug, line)
    WHERE slug IS NOT NULL;
CREATE TABLE IF NOT EXISTS import_errors (
    import_id uuid NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    line integer NOT NULL,
    field text,
    detail text NOT NULL,
    PRIMARY KEY (import_id, line)
);
"""


def upgrade() -> None:
    """Create what is new."""
    for statements in (IMPORTS, PARTS, ROWS):
        op.execute(statements)
