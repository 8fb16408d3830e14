"""The timeline says who caused what."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column that old rows, the previous release and workers leave empty."""
    op.execute("ALTER TABLE order_events ADD COLUMN IF NOT EXISTS actor jsonb")
