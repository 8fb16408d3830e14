"""Cancelled tasks are found without reading all that is done; an index nobody used is gone."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Only what a person cancels or discards gets into it.
CANCELLED = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_cancelled ON tasks (id) WHERE state = 'cancelled'
"""


def upgrade() -> None:
    """Index them beside the traffic; run again, it is done again."""
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS tasks_cancelled")
        op.execute(CANCELLED)
        # What is dead is counted in one pass over it, for all queues.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS tasks_dead_queue")
