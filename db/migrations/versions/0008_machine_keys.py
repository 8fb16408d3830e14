"""API keys of our own programs, of which any number of requests is expected."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TIERS = """
ALTER TABLE api_keys DROP CONSTRAINT IF EXISTS api_keys_tier_check,
    ADD CONSTRAINT api_keys_tier_check
        CHECK (tier IN ('authenticated', 'premium', 'machine')) NOT VALID;
"""


def upgrade() -> None:
    """Allow one more tier; what the narrower check let in, this one does."""
    op.execute(TIERS)
    with op.get_context().autocommit_block():
        op.execute(
            "-- squawk-ignore prefer-robust-stmts\n"
            "ALTER TABLE api_keys VALIDATE CONSTRAINT api_keys_tier_check"
        )
