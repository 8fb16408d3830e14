"""Money, beside the traffic: checks are validated, indexes built, what is under way filled in."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# To validate what is valid does nothing.
HARMLESS = "-- squawk-ignore prefer-robust-stmts\n"
VALIDATED = (
    ("orders", "orders_capture_check"),
    ("orders", "orders_on_decline_check"),
    ("orders", "orders_reserve_for_s_check"),
    ("payment_attempts", "payment_attempts_kind_check"),
    ("payment_attempts", "payment_attempts_state_check"),
    ("payment_attempts", "payment_attempts_fee_minor_check"),
    ("ledger_entries", "ledger_entries_account_check"),
)

# As the previous release left it: a charge was sent when it was written, and a refund was booked
# as owed again.
FILLED = (
    """
    UPDATE payment_attempts SET sent_at = created_at
    WHERE state IN ('sent', 'unknown') AND sent_at IS NULL
    """,
    """
    UPDATE orders SET reserved_until = now() + make_interval(secs => reserve_for_s)
    WHERE status = 'reserved' AND reserved_until IS NULL
    """,
    """
    UPDATE ledger_entries SET account = 'refunds' WHERE account = 'receivable' AND amount_minor > 0
    """,
)

INDEXES = {
    "payment_attempts_taking": """
    CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS payment_attempts_taking
        ON payment_attempts (order_id) WHERE kind IN ('charge', 'authorize')
        AND state IN ('created', 'sent', 'unknown', 'action_required', 'succeeded')
    """,
    "payment_attempts_open": """
    CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS payment_attempts_open
        ON payment_attempts (order_id) WHERE state IN ('sent', 'unknown', 'action_required')
    """,
    "payment_attempts_order": """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS payment_attempts_order ON payment_attempts (order_id)
    """,
    "payment_attempts_ref": """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS payment_attempts_ref
        ON payment_attempts (gateway_ref) WHERE gateway_ref IS NOT NULL
    """,
    "payment_attempts_expiring": """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS payment_attempts_expiring
        ON payment_attempts (expires_at)
        WHERE expires_at IS NOT NULL AND expiry_noticed_at IS NULL
    """,
    "payment_attempts_changed": """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS payment_attempts_changed
        ON payment_attempts (updated_at)
        WHERE kind IN ('capture', 'void', 'refund') OR updated_at - created_at > interval '1 hour'
    """,
    "orders_reserved_until": """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_reserved_until
        ON orders (reserved_until) WHERE status = 'reserved'
    """,
    "orders_unpaid": """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_unpaid
        ON orders (email) WHERE status IN ('placed', 'backordered', 'reserved')
    """,
    "ledger_entries_order": """
    CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_order ON ledger_entries (order_id)
    """,
}


def upgrade() -> None:
    """Do each in a transaction of its own; run again after a failure, all of it is done again."""
    with op.get_context().autocommit_block():
        for table, constraint in VALIDATED:
            op.execute(f"{HARMLESS}ALTER TABLE {table} VALIDATE CONSTRAINT {constraint}")
        for statement in FILLED:
            op.execute(statement)
        for name, created in INDEXES.items():
            # One that was not finished stands there, unused, and would do for IF NOT EXISTS.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(created)
        # Now that two others stand in its place: several captures and refunds may succeed.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS payment_attempts_live")
