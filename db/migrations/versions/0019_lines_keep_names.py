"""Lines of orders keep the name and the tax class that a variant had when it was ordered."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# Without a default no row is rewritten, and what the release before this one writes has neither.
LINES = """
ALTER TABLE order_lines
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS tax_class text
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(LINES)
