"""Stock says why it is what it is: movements by people are kept, orders are found by SKU."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MOVEMENTS = """
CREATE TABLE IF NOT EXISTS stock_movements (
    sku text NOT NULL,  -- no foreign key: what was done stays when the SKU goes
    version integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    cause text NOT NULL CHECK (cause IN ('opening', 'count', 'adjustment')),
    actor uuid,
    on_hand_delta bigint NOT NULL,
    on_hand bigint NOT NULL CHECK (on_hand >= 0),
    note text,
    PRIMARY KEY (sku, version)
);
CREATE OR REPLACE FUNCTION refuse_rewritten_movement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation', CONSTRAINT = 'stock_movements_append_only',
        MESSAGE = concat('stock movements are append-only: ', TG_OP, ' is refused');
END $$;
CREATE OR REPLACE TRIGGER stock_movements_append_only BEFORE UPDATE OR DELETE ON stock_movements
    FOR EACH ROW EXECUTE FUNCTION refuse_rewritten_movement();
"""

THRESHOLD = """
ALTER TABLE stock ADD COLUMN IF NOT EXISTS low_at bigint;
ALTER TABLE stock DROP CONSTRAINT IF EXISTS stock_low_at_check,
    ADD CONSTRAINT stock_low_at_check CHECK (low_at >= 0) NOT VALID;
"""

# What there ever was of each, in one statement and so of one moment: what is on hand, and what
# orders that were paid have taken of it.
OPENING = """
INSERT INTO stock_movements (sku, version, cause, on_hand_delta, on_hand)
SELECT sku, version, 'opening', on_hand + coalesce(taken, 0), on_hand
FROM stock LEFT JOIN (
    SELECT sku, sum(quantity) AS taken FROM reservations WHERE state = 'committed' GROUP BY sku
) AS r USING (sku)
ON CONFLICT DO NOTHING
"""

CREATED = """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS order_lines_sku ON order_lines (sku, order_id)
    """


def upgrade() -> None:
    """Add the table and what is in it now, then index beside the traffic."""
    for statements in (MOVEMENTS, THRESHOLD, OPENING):
        op.execute(statements)
    with op.get_context().autocommit_block():
        op.execute(
            "-- squawk-ignore prefer-robust-stmts\n"
            "ALTER TABLE stock VALIDATE CONSTRAINT stock_low_at_check"
        )
        # One that was not finished stands there, unused, and would do for IF NOT EXISTS.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS order_lines_sku")
        op.execute(CREATED)
