"""What commits change of what caches show; appended by those who change it, read by who caches."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# Read by the number of the transaction: rows of one may come to light after those of a later one.
INVALIDATIONS = """
CREATE TABLE IF NOT EXISTS invalidations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid bigint DEFAULT pg_current_xact_id()::text::bigint,
    tags text[] NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS invalidations_xid ON invalidations (xid);
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(INVALIDATIONS)
