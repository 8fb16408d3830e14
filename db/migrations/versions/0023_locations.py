"""Stock has places: levels at locations, what is to come, what is promised, and low once told."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

LOCATIONS = """
CREATE TABLE IF NOT EXISTS locations (
    id uuid PRIMARY KEY,
    code text NOT NULL UNIQUE CHECK (code ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    name text NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    postcode text,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
-- Written only under the lock of the SKU's row of stock, which decides; what is at no location
-- is what the levels leave of it.
CREATE TABLE IF NOT EXISTS stock_levels (
    sku text NOT NULL REFERENCES stock (sku),
    location_id uuid NOT NULL REFERENCES locations (id),
    on_hand bigint NOT NULL DEFAULT 0 CHECK (on_hand >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    CONSTRAINT stock_levels_check CHECK (reserved <= on_hand),
    PRIMARY KEY (sku, location_id)
) WITH (fillfactor = 50);
CREATE INDEX IF NOT EXISTS stock_levels_location ON stock_levels (location_id, sku);
CREATE TABLE IF NOT EXISTS reservation_parts (
    order_id uuid NOT NULL,  -- no foreign keys: their row locks would be shared by every group
    sku text NOT NULL,
    location_id uuid NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, sku, location_id)
);
"""

INCOMING = """
CREATE TABLE IF NOT EXISTS incoming (
    id uuid PRIMARY KEY,
    sku text NOT NULL REFERENCES stock (sku),
    location_id uuid REFERENCES locations (id),
    quantity bigint NOT NULL CHECK (quantity > 0),
    received bigint NOT NULL DEFAULT 0 CHECK (received >= 0),
    expected_on date,
    note text,
    in_transit boolean NOT NULL DEFAULT false,
    source_id uuid REFERENCES locations (id),
    cancelled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS incoming_open ON incoming (sku, expected_on, id)
    WHERE cancelled_at IS NULL AND received < quantity;
"""

BACKORDERS = """
CREATE TABLE IF NOT EXISTS backorders (
    sku text NOT NULL,
    order_id uuid NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (sku, order_id)
) WITH (fillfactor = 80);
"""

# Constants as defaults are kept in the catalogue of Postgres: no row is rewritten.
COLUMNS = """
ALTER TABLE stock
    ADD COLUMN IF NOT EXISTS backordered bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS backorder_max bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS available_from date,
    ADD COLUMN IF NOT EXISTS located boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS is_low boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT IF EXISTS stock_backordered_check,
    ADD CONSTRAINT stock_backordered_check CHECK (backordered >= 0) NOT VALID,
    DROP CONSTRAINT IF EXISTS stock_backorder_max_check,
    ADD CONSTRAINT stock_backorder_max_check CHECK (backorder_max >= 0) NOT VALID;
ALTER TABLE orders ADD COLUMN IF NOT EXISTS allow_split boolean NOT NULL DEFAULT false;
ALTER TABLE stock_movements
    ADD COLUMN IF NOT EXISTS location_id uuid,
    ADD COLUMN IF NOT EXISTS level bigint,
    ADD COLUMN IF NOT EXISTS incoming_id uuid,
    DROP CONSTRAINT IF EXISTS stock_movements_cause_check,
    ADD CONSTRAINT stock_movements_cause_check CHECK (
        cause IN ('opening', 'count', 'adjustment', 'receipt', 'transfer')) NOT VALID;
"""
VALID = (
    ("stock", "stock_backordered_check"),
    ("stock", "stock_backorder_max_check"),
    ("stock_movements", "stock_movements_cause_check"),
)

# Under the lock of the row, so that a crossing is told exactly once, whoever moves the stock.
LOW = """
CREATE TABLE IF NOT EXISTS stock_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('stock_low', 'stock_replenished')),
    available bigint NOT NULL,
    low_at bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
UPDATE stock SET is_low = true WHERE on_hand - reserved <= low_at AND NOT is_low;
CREATE OR REPLACE FUNCTION tell_low_stock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.is_low := coalesce(NEW.on_hand - NEW.reserved - NEW.backordered <= NEW.low_at, false);
    IF NEW.low_at IS NOT NULL THEN
        INSERT INTO stock_events (sku, kind, available, low_at)
        VALUES (NEW.sku, CASE WHEN NEW.is_low THEN 'stock_low' ELSE 'stock_replenished' END,
                NEW.on_hand - NEW.reserved - NEW.backordered, NEW.low_at);
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER stock_low BEFORE UPDATE ON stock FOR EACH ROW
    WHEN (NEW.is_low IS DISTINCT FROM
          coalesce(NEW.on_hand - NEW.reserved - NEW.backordered <= NEW.low_at, false))
    EXECUTE FUNCTION tell_low_stock();
"""


def upgrade() -> None:
    """Create and alter at once, then validate beside the traffic."""
    for statements in (LOCATIONS, INCOMING, BACKORDERS, COLUMNS, LOW):
        op.execute(statements)
    with op.get_context().autocommit_block():
        for table, constraint in VALID:
            op.execute(
                "-- squawk-ignore prefer-robust-stmts\n"
                f"ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}"
            )
