"""The ledger knows of money that went back by other ways than the gateway."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ACCOUNTS = """
ALTER TABLE ledger_entries DROP CONSTRAINT IF EXISTS ledger_entries_account_check,
    ADD CONSTRAINT ledger_entries_account_check
        CHECK (account IN ('receivable', 'gateway_cash', 'refunds', 'fees', 'settled_elsewhere'))
        NOT VALID;
"""


def upgrade() -> None:
    """Allow one more account; what the narrower check let in, this one does."""
    op.execute(ACCOUNTS)
    with op.get_context().autocommit_block():
        op.execute(
            "-- squawk-ignore prefer-robust-stmts\n"
            "ALTER TABLE ledger_entries VALIDATE CONSTRAINT ledger_entries_account_check"
        )
