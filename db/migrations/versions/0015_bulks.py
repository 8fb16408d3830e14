"""Bulks: an action on all tasks that match, with how far it has come and what it changed."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BULKS = """
CREATE TABLE IF NOT EXISTS task_bulks (
    id uuid PRIMARY KEY,
    action text NOT NULL CHECK (action IN ('replay', 'cancel', 'discard', 'undo')),
    filter jsonb NOT NULL,
    undoes uuid UNIQUE REFERENCES task_bulks (id) ON DELETE CASCADE,
    per_s integer NOT NULL CHECK (per_s > 0),
    note text,
    asked_by uuid,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled')),
    id_seen bigint NOT NULL DEFAULT 0,
    id_max bigint NOT NULL,
    matched bigint NOT NULL,
    changed bigint NOT NULL DEFAULT 0,
    gone bigint NOT NULL DEFAULT 0,
    left_out jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    stepped_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CHECK ((action = 'undo') = (undoes IS NOT NULL)),
    CHECK ((state = 'running') = (finished_at IS NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS task_bulks_running ON task_bulks (action, filter)
    WHERE state = 'running' AND undoes IS NULL;
"""

# No foreign key to tasks: what is done and old is deleted from there.
ITEMS = """
CREATE TABLE IF NOT EXISTS task_bulk_items (
    bulk_id uuid NOT NULL REFERENCES task_bulks (id) ON DELETE CASCADE,
    task_id bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL,
    to_state text NOT NULL,
    attempt integer NOT NULL,
    attempts_max integer NOT NULL,
    run_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (bulk_id, task_id)
);
"""


def upgrade() -> None:
    """Add two tables; the previous release needs neither."""
    op.execute(BULKS)
    op.execute(ITEMS)
