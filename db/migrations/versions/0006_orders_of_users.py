"""Orders are found by the account that placed them."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CREATED = """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_user_id
        ON orders (user_id, id) WHERE user_id IS NOT NULL
    """


def upgrade() -> None:
    """Build it beside the traffic; run again after a failure, it is built again."""
    with op.get_context().autocommit_block():
        # One that was not finished stands there, unused, and would do for IF NOT EXISTS.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS orders_user_id")
        op.execute(CREATED)
