"""Processes report themselves, and people pause schedules and have them run at once."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Every process writes its own row every few seconds: room in each page keeps that beside it.
PROCESSES = """
CREATE TABLE IF NOT EXISTS processes (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('web', 'worker', 'clock')),
    host text NOT NULL,
    pid integer NOT NULL,
    version text NOT NULL,
    rss_bytes bigint,
    running jsonb NOT NULL DEFAULT '[]',
    started_at timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    stop_asked_at timestamptz,
    stop_asked_by uuid
) WITH (fillfactor = 50);
"""

# A job has a row once it ran, or somebody changed something about it.
SCHEDULES = """
CREATE TABLE IF NOT EXISTS schedules (
    job text PRIMARY KEY,
    paused boolean NOT NULL DEFAULT false,
    last_run_at timestamptz,
    run_asked_at timestamptz,
    changed_by uuid,
    changed_at timestamptz
);
"""


def upgrade() -> None:
    """Add two tables; the previous release needs neither."""
    op.execute(PROCESSES)
    op.execute(SCHEDULES)
