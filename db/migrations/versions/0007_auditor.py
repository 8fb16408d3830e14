"""What the auditor goes by: which transaction wrote a row, and how far it has looked."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Rows that are there keep no number: they are seen when all orders are looked at in turn.
STAMPED = """
ALTER TABLE order_events ADD COLUMN IF NOT EXISTS xid bigint;
ALTER TABLE order_events ALTER COLUMN xid SET DEFAULT pg_current_xact_id()::text::bigint;
ALTER TABLE ledger_entries ADD COLUMN IF NOT EXISTS xid bigint;
ALTER TABLE ledger_entries ALTER COLUMN xid SET DEFAULT pg_current_xact_id()::text::bigint;
"""

# One row, which is written when it is first needed.
PROGRESS = """
CREATE TABLE IF NOT EXISTS audit_progress (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seen text NOT NULL,
    waiting uuid[] NOT NULL DEFAULT '{}',
    rolled_to uuid,
    rolled_at timestamptz,
    looked_at timestamptz
);
"""

# Both tables only grow, so that rows of one transaction lie together.
INDEXES = {
    "order_events_xid": """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS order_events_xid
        ON order_events USING brin (xid) WITH (pages_per_range = 16, autosummarize = on)
    """,
    "ledger_entries_xid": """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_xid
        ON ledger_entries USING brin (xid) WITH (pages_per_range = 16, autosummarize = on)
    """,
}


def upgrade() -> None:
    """Add the columns, then index them beside the traffic; run again, it is all done again."""
    op.execute(STAMPED)
    op.execute(PROGRESS)
    with op.get_context().autocommit_block():
        for name, created in INDEXES.items():
            # One that was not finished stands there, unused, and would do for IF NOT EXISTS.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(created)
