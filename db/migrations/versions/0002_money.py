"""Money: captures, voids and refunds of their own, reservations that end, findings, inbox."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ORDERS = """
ALTER TABLE orders
    ADD COLUMN capture text NOT NULL DEFAULT 'automatic',
    ADD COLUMN on_decline text NOT NULL DEFAULT 'cancel',
    ADD COLUMN reserve_for_s integer NOT NULL DEFAULT 3600,
    ADD COLUMN reserved_until timestamptz;
ALTER TABLE orders
    ADD CONSTRAINT orders_capture_check
        CHECK (capture IN ('automatic', 'manual')) NOT VALID,
    ADD CONSTRAINT orders_on_decline_check
        CHECK (on_decline IN ('cancel', 'hold')) NOT VALID,
    ADD CONSTRAINT orders_reserve_for_s_check CHECK (reserve_for_s > 0) NOT VALID;
"""

ATTEMPTS = """
ALTER TABLE payment_attempts
    ADD COLUMN sent_at timestamptz,
    ADD COLUMN final boolean NOT NULL DEFAULT true,
    ADD COLUMN reason text,
    ADD COLUMN fee_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN expiry_noticed_at timestamptz,
    ADD COLUMN client_secret text,
    ADD COLUMN reconciled_at timestamptz,
    DROP CONSTRAINT payment_attempts_kind_check,
    DROP CONSTRAINT payment_attempts_state_check;
ALTER TABLE payment_attempts
    ADD CONSTRAINT payment_attempts_kind_check
        CHECK (kind IN ('charge', 'authorize', 'capture', 'void', 'refund')) NOT VALID,
    ADD CONSTRAINT payment_attempts_state_check
        CHECK (state IN ('created', 'sent', 'unknown', 'action_required', 'succeeded',
                         'declined')) NOT VALID,
    ADD CONSTRAINT payment_attempts_fee_minor_check CHECK (fee_minor >= 0) NOT VALID;
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_account_check;
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_account_check
    CHECK (account IN ('receivable', 'gateway_cash', 'refunds', 'fees')) NOT VALID;
"""

TABLES = """
CREATE TABLE inbox (
    source text NOT NULL,
    message_id text NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    order_id uuid,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, message_id)
);
CREATE INDEX inbox_received ON inbox (received_at);

CREATE TABLE findings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    order_id uuid,
    detail text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    note text
);
-- A difference that is still there when it is looked for again is the same finding.
CREATE UNIQUE INDEX findings_open ON findings (kind, subject) WHERE closed_at IS NULL;

CREATE TABLE gateway_breakers (
    gateway text NOT NULL,
    process text NOT NULL,
    state text NOT NULL CHECK (state IN ('closed', 'half-open', 'open')),
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, process)
);

INSERT INTO queues (name) VALUES ('reconciliation') ON CONFLICT DO NOTHING;
"""

LEDGER = """
CREATE FUNCTION refuse_unbalanced_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM ledger_entries WHERE transaction_id = NEW.transaction_id
        GROUP BY currency HAVING sum(amount_minor) <> 0)
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_balanced',
            MESSAGE = concat('ledger transaction ', NEW.transaction_id, ' does not sum to zero');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_entries_balanced AFTER INSERT OR UPDATE ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_ledger();
"""


def upgrade() -> None:
    """Change everything at once; what takes time is in the next migration."""
    for statements in (ORDERS, ATTEMPTS, TABLES, LEDGER):
        op.execute(statements)
