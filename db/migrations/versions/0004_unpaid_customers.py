"""Unpaid orders are counted by customer, in whatever case an address is written."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CREATED = """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unpaid_customer
        ON orders (lower(email)) WHERE status IN ('placed', 'backordered', 'reserved')
    """


def upgrade() -> None:
    """Do each in a transaction of its own; run again after a failure, all of it is done again."""
    with op.get_context().autocommit_block():
        # One that was not finished stands there, unused, and would do for IF NOT EXISTS.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS orders_unpaid_customer")
        op.execute(CREATED)
        # The previous release finds its customers by another index on their addresses.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS orders_unpaid")
