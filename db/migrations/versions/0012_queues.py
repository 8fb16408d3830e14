"""Queues know who changed them and can be drained; what is dead is counted by its own index."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

QUEUES = """
ALTER TABLE queues
    ADD COLUMN IF NOT EXISTS drain_to bigint,
    ADD COLUMN IF NOT EXISTS changed_by uuid,
    ADD COLUMN IF NOT EXISTS changed_at timestamptz;
"""

# Only what dies gets into it, so work that goes well pays for none of it.
DEAD = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS tasks_dead_queue ON tasks (queue, kind, id)
    WHERE state = 'dead'
"""


def upgrade() -> None:
    """Add columns that the previous release need not fill, then an index beside the traffic."""
    op.execute(QUEUES)
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS tasks_dead_queue")
        op.execute(DEAD)
