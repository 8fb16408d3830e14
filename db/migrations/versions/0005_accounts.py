"""Accounts: people, their sessions and codes, keys of machines, and who did what."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PEOPLE = """
CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text,
    email_folded text UNIQUE,
    email_verified_at timestamptz,
    name text,
    password_hash text,
    password_changed_at timestamptz,
    role text NOT NULL DEFAULT 'customer' CONSTRAINT users_role_check
        CHECK (role IN ('customer', 'support', 'ops', 'admin')),
    tier text NOT NULL DEFAULT 'authenticated' CONSTRAINT users_tier_check
        CHECK (tier IN ('authenticated', 'premium')),
    token_version integer NOT NULL DEFAULT 1 CONSTRAINT users_token_version_check
        CHECK (token_version > 0),
    disabled_at timestamptz,
    mfa_secret bytea,
    mfa_enabled_at timestamptz,
    mfa_last_step bigint,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT users_email_check CHECK (
        (deleted_at IS NULL) = (email IS NOT NULL)
        AND (email IS NULL) = (email_folded IS NULL)),
    -- Nothing of a person is left of an account that was deleted.
    CONSTRAINT users_deleted_check CHECK (deleted_at IS NULL
        OR (name IS NULL AND password_hash IS NULL AND mfa_secret IS NULL)),
    CONSTRAINT users_mfa_check CHECK (mfa_enabled_at IS NULL OR mfa_secret IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX users_role ON users (role, id) WHERE role <> 'customer';

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    user_agent text,
    address text,
    mfa boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text CONSTRAINT sessions_revoked_reason_check CHECK (revoked_reason IN (
        'logout', 'user', 'password', 'email', 'mfa', 'reuse', 'staff', 'deleted')),
    CONSTRAINT sessions_revoked_check CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL)),
    CONSTRAINT sessions_expires_at_check CHECK (expires_at > created_at)
) WITH (fillfactor = 80);
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_expires ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    hash bytea PRIMARY KEY CONSTRAINT refresh_tokens_hash_check CHECK (length(hash) = 32),
    session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
) WITH (fillfactor = 80);
-- A session has one token that can still be used: two successors cannot be written down.
CREATE UNIQUE INDEX refresh_tokens_current ON refresh_tokens (session_id) WHERE used_at IS NULL;
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
"""

CODES = """
-- What a mail carries is derived from the id with a key that is not in here.
CREATE TABLE one_time_codes (
    id uuid PRIMARY KEY,
    user_id uuid REFERENCES users (id),
    purpose text NOT NULL CONSTRAINT one_time_codes_purpose_check CHECK (purpose IN (
        'register', 'reset', 'change_email_old', 'change_email_new')),
    payload jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX one_time_codes_user ON one_time_codes (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX one_time_codes_expires ON one_time_codes (expires_at);

CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id),
    hash bytea NOT NULL CONSTRAINT recovery_codes_hash_check CHECK (length(hash) = 32),
    used_at timestamptz,
    PRIMARY KEY (user_id, hash)
) WITH (fillfactor = 80);

CREATE TABLE account_notices (
    id uuid PRIMARY KEY,
    user_id uuid REFERENCES users (id),
    kind text NOT NULL,
    recipient text NOT NULL,
    code_id uuid REFERENCES one_time_codes (id) ON DELETE SET NULL,
    state text NOT NULL DEFAULT 'pending' CONSTRAINT account_notices_state_check
        CHECK (state IN ('pending', 'sent', 'refused')),
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX account_notices_user ON account_notices (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX account_notices_code ON account_notices (code_id) WHERE code_id IS NOT NULL;
CREATE INDEX account_notices_created ON account_notices (created_at);
"""

KEYS = """
CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    name text NOT NULL,
    prefix text NOT NULL,
    hash bytea NOT NULL UNIQUE CONSTRAINT api_keys_hash_check CHECK (length(hash) = 32),
    scopes text[] NOT NULL,
    tier text NOT NULL DEFAULT 'authenticated' CONSTRAINT api_keys_tier_check
        CHECK (tier IN ('authenticated', 'premium')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    replaced_by uuid REFERENCES api_keys (id),
    CONSTRAINT api_keys_expires_at_check CHECK (expires_at > created_at),
    CONSTRAINT api_keys_replaced_by_check CHECK (replaced_by <> id)
) WITH (fillfactor = 80);
CREATE INDEX api_keys_user ON api_keys (user_id, id);
"""

RECORDS = """
CREATE TABLE security_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    user_id uuid REFERENCES users (id),
    kind text NOT NULL,
    session_id uuid,
    address text,
    user_agent text
);
CREATE INDEX security_events_user ON security_events (user_id, id);
CREATE INDEX security_events_at ON security_events (at);

-- It outlives whom it tells of, so it refers to nothing.
CREATE TABLE audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor uuid,
    actor_kind text NOT NULL,
    action text NOT NULL,
    target_kind text NOT NULL,
    target text NOT NULL,
    before jsonb,
    after jsonb,
    request_id text,
    address text
);
CREATE INDEX audit_log_actor ON audit_log (actor, id);
CREATE INDEX audit_log_target ON audit_log (target_kind, target, id);

CREATE FUNCTION refuse_rewritten_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation', CONSTRAINT = 'audit_log_append_only',
        MESSAGE = concat('the audit log is append-only: ', TG_OP, ' is refused');
END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewritten_audit();
"""

# No foreign key: accounts are never deleted whole, and its lock would be shared by every insert.
ORDERS = "ALTER TABLE orders ADD COLUMN user_id uuid"


def upgrade() -> None:
    """Add tables, and columns that the previous release need not fill."""
    for statements in (PEOPLE, CODES, KEYS, RECORDS, ORDERS):
        op.execute(statements)
