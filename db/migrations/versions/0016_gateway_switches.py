"""Breakers keep their history, and may be held open or closed by a person."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE IF NOT EXISTS gateway_breaker_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway text NOT NULL,
    process text NOT NULL,
    state text NOT NULL CHECK (state IN ('closed', 'half-open', 'open')),
    forced boolean NOT NULL DEFAULT false,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS gateway_switches (
    gateway text PRIMARY KEY,
    forced text NOT NULL CHECK (forced IN ('open', 'closed')),
    note text NOT NULL,
    actor uuid,
    since timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Add two tables that the previous release does not know."""
    op.execute(TABLES)
