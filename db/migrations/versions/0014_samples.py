"""What the overview shows of the last hours: samples a minute, and events by their time."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SAMPLES = """
CREATE TABLE IF NOT EXISTS samples (
    minute timestamptz NOT NULL,
    name text NOT NULL,
    label text NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (minute, name, label)
);
"""

# The table only grows, so that events of one minute lie together.
BY_TIME = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS order_events_at
    ON order_events USING brin (at) WITH (pages_per_range = 16, autosummarize = on)
"""


def upgrade() -> None:
    """Add the table, then index events beside the traffic; run again, it is all done again."""
    op.execute(SAMPLES)
    with op.get_context().autocommit_block():
        # One that was not finished stands there, unused, and would do for IF NOT EXISTS.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS order_events_at")
        op.execute(BY_TIME)
