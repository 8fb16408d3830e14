"""The spine: catalogue, stock, orders with their timeline, tasks, payments, notifications."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CATALOGUE = """
CREATE TABLE products (
    sku text PRIMARY KEY,
    name text NOT NULL,
    price_minor bigint NOT NULL CHECK (price_minor > 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    active boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
-- Room for heap-only updates: a hot SKU is written by every group.
CREATE TABLE stock (
    sku text PRIMARY KEY REFERENCES products (sku),
    on_hand bigint NOT NULL CHECK (on_hand >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    version integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (reserved <= on_hand)
) WITH (fillfactor = 50);
"""

ORDERS = """
CREATE TABLE orders (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    status text NOT NULL DEFAULT 'placed' CHECK (status IN (
        'placed', 'backordered', 'reserved', 'review', 'paid',
        'shipped', 'delivered', 'returned', 'cancelled')),
    cancel_reason text CHECK (cancel_reason IN (
        'customer', 'out_of_stock', 'payment_declined', 'expired', 'staff', 'fraud')),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    total_minor bigint NOT NULL CHECK (total_minor > 0),
    payment_method text NOT NULL,
    ship_to jsonb NOT NULL,
    version integer NOT NULL,
    traceparent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'cancelled') = (cancel_reason IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX orders_email_id ON orders (email, id);
CREATE INDEX orders_status_id ON orders (status, id);

CREATE TABLE order_lines (
    order_id uuid NOT NULL REFERENCES orders (id),
    line integer NOT NULL CHECK (line > 0),
    sku text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_minor bigint NOT NULL CHECK (unit_minor > 0),
    PRIMARY KEY (order_id, line)
);

CREATE TABLE order_events (
    order_id uuid NOT NULL REFERENCES orders (id),
    version integer NOT NULL CHECK (version > 0),
    kind text NOT NULL,
    status text NOT NULL,
    data jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, version)
);

CREATE TABLE reservations (
    order_id uuid NOT NULL REFERENCES orders (id),
    sku text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'committed', 'released')),
    PRIMARY KEY (order_id, sku)
) WITH (fillfactor = 80);

CREATE TABLE idempotency_keys (
    scope text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    body bytea NOT NULL,
    order_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
"""

TASKS = """
CREATE TABLE queues (
    name text PRIMARY KEY,
    paused boolean NOT NULL DEFAULT false,
    running_max integer CHECK (running_max >= 0)
);
INSERT INTO queues (name) VALUES
    ('inventory'), ('payments'), ('shipping'), ('notifications'), ('webhooks'), ('housekeeping');

CREATE TABLE tasks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,  -- no foreign key: its row lock would be shared by every insert
    kind text NOT NULL,
    order_id uuid REFERENCES orders (id),
    payload jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'ready' CHECK (state IN (
        'ready', 'running', 'done', 'dead', 'cancelled')),
    attempt integer NOT NULL DEFAULT 0,
    attempts_max integer NOT NULL CHECK (attempts_max > 0),
    run_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    last_error text,
    traceparent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state IN ('done', 'dead', 'cancelled')) = (finished_at IS NOT NULL))
);
CREATE INDEX tasks_ready ON tasks (queue, run_at, id) WHERE state = 'ready';
CREATE INDEX tasks_running ON tasks (queue, lease_until) WHERE state = 'running';
CREATE INDEX tasks_dead ON tasks (id) WHERE state = 'dead';
CREATE INDEX tasks_order ON tasks (order_id);
ALTER TABLE tasks SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE TABLE cron_runs (
    job text NOT NULL,
    slot timestamptz NOT NULL,
    PRIMARY KEY (job, slot)
);
"""

MONEY = """
CREATE TABLE payment_attempts (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    kind text NOT NULL CHECK (kind IN ('charge', 'refund')),
    state text NOT NULL CHECK (state IN (
        'created', 'sent', 'unknown', 'succeeded', 'declined')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    gateway text NOT NULL,
    gateway_ref text,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
-- A second live charge of an order cannot be written down, so it cannot be made.
CREATE UNIQUE INDEX payment_attempts_live ON payment_attempts (order_id, kind)
    WHERE state IN ('created', 'sent', 'unknown', 'succeeded');

CREATE TABLE ledger_entries (
    transaction_id uuid NOT NULL,
    account text NOT NULL CHECK (account IN ('receivable', 'gateway_cash')),
    order_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    currency text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (transaction_id, account)
);

CREATE TABLE notifications (
    order_id uuid NOT NULL REFERENCES orders (id),
    kind text NOT NULL,
    channel text NOT NULL,
    recipient text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'refused')),
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    PRIMARY KEY (order_id, kind, channel)
) WITH (fillfactor = 80);
"""

MOVES = """
CREATE FUNCTION refuse_illegal_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status || '>' || NEW.status) <> ALL (ARRAY[
        'placed>reserved', 'placed>backordered', 'placed>cancelled',
        'backordered>reserved', 'backordered>cancelled',
        'reserved>paid', 'reserved>review', 'reserved>cancelled',
        'review>paid', 'review>cancelled',
        'paid>shipped', 'paid>cancelled',
        'shipped>delivered', 'shipped>returned',
        'delivered>returned'])
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation', CONSTRAINT = 'orders_legal_move',
            MESSAGE = concat('order ', OLD.id, ' cannot move: ', OLD.status, ' to ', NEW.status);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER orders_legal_move BEFORE UPDATE OF status ON orders FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION refuse_illegal_move();
"""


def upgrade() -> None:
    """Create everything; there is no way back but a new migration."""
    for statements in (CATALOGUE, ORDERS, TASKS, MONEY, MOVES):
        op.execute(statements)
