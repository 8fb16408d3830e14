"""The tables of accounts as SQLAlchemy knows them; checks and triggers stand in the migration."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Named,
    Table,
    Text,
    TypedColumns,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from db.metadata import maybe_moment, metadata, moment


class UserColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    email: Named[str | None] = Column(Text())
    email_folded: Named[str | None] = Column(Text(), unique=True)
    email_verified_at: Named[datetime | None] = maybe_moment()
    name: Named[str | None] = Column(Text())
    password_hash: Named[str | None] = Column(Text())
    password_changed_at: Named[datetime | None] = maybe_moment()
    role: Named[str] = Column(Text(), server_default="customer")
    tier: Named[str] = Column(Text(), server_default="authenticated")
    token_version: Named[int] = Column(Integer(), server_default=text("1"))
    disabled_at: Named[datetime | None] = maybe_moment()
    mfa_secret: Named[bytes | None] = Column(LargeBinary())
    mfa_enabled_at: Named[datetime | None] = maybe_moment()
    mfa_last_step: Named[int | None] = Column(BigInteger())
    version: Named[int] = Column(Integer(), server_default=text("1"))
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()
    deleted_at: Named[datetime | None] = maybe_moment()


class SessionColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    user_id: Named[UUID] = Column(Uuid(), ForeignKey("users.id"))
    user_agent: Named[str | None] = Column(Text())
    address: Named[str | None] = Column(Text())
    mfa: Named[bool] = Column(server_default=text("false"))
    created_at: Named[datetime] = moment()
    last_used_at: Named[datetime] = moment()
    expires_at: Named[datetime] = Column(DateTime(timezone=True))
    revoked_at: Named[datetime | None] = maybe_moment()
    revoked_reason: Named[str | None] = Column(Text())


class RefreshTokenColumns(TypedColumns):
    hash: Named[bytes] = Column(LargeBinary(), primary_key=True)
    session_id: Named[UUID] = Column(Uuid(), ForeignKey("sessions.id", ondelete="CASCADE"))
    created_at: Named[datetime] = moment()
    expires_at: Named[datetime] = Column(DateTime(timezone=True))
    used_at: Named[datetime | None] = maybe_moment()


class OneTimeCodeColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    user_id: Named[UUID | None] = Column(Uuid(), ForeignKey("users.id"))
    purpose: Named[str] = Column(Text())
    payload: Named[dict[str, Any]] = Column(JSONB(), server_default=text("'{}'"))
    created_at: Named[datetime] = moment()
    expires_at: Named[datetime] = Column(DateTime(timezone=True))
    used_at: Named[datetime | None] = maybe_moment()


class RecoveryCodeColumns(TypedColumns):
    user_id: Named[UUID] = Column(Uuid(), ForeignKey("users.id"), primary_key=True)
    hash: Named[bytes] = Column(LargeBinary(), primary_key=True)
    used_at: Named[datetime | None] = maybe_moment()


class AccountNoticeColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    user_id: Named[UUID | None] = Column(Uuid(), ForeignKey("users.id"))
    kind: Named[str] = Column(Text())
    recipient: Named[str] = Column(Text())
    code_id: Named[UUID | None] = Column(
        Uuid(), ForeignKey("one_time_codes.id", ondelete="SET NULL")
    )
    state: Named[str] = Column(Text(), server_default="pending")
    error: Named[str | None] = Column(Text())
    created_at: Named[datetime] = moment()
    sent_at: Named[datetime | None] = maybe_moment()


class ApiKeyColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    user_id: Named[UUID] = Column(Uuid(), ForeignKey("users.id"))
    name: Named[str] = Column(Text())
    prefix: Named[str] = Column(Text())
    hash: Named[bytes] = Column(LargeBinary(), unique=True)
    scopes: Named[list[str]] = Column(ARRAY(Text()))
    tier: Named[str] = Column(Text(), server_default="authenticated")
    created_at: Named[datetime] = moment()
    expires_at: Named[datetime | None] = maybe_moment()
    last_used_at: Named[datetime | None] = maybe_moment()
    revoked_at: Named[datetime | None] = maybe_moment()
    replaced_by: Named[UUID | None] = Column(Uuid(), ForeignKey("api_keys.id"))


class SecurityEventColumns(TypedColumns):
    id: Named[int] = Column(BigInteger(), Identity(always=True), primary_key=True)
    at: Named[datetime] = moment()
    user_id: Named[UUID | None] = Column(Uuid(), ForeignKey("users.id"))
    kind: Named[str] = Column(Text())
    session_id: Named[UUID | None] = Column(Uuid())
    address: Named[str | None] = Column(Text())
    user_agent: Named[str | None] = Column(Text())


class AuditLogColumns(TypedColumns):
    id: Named[int] = Column(BigInteger(), Identity(always=True), primary_key=True)
    at: Named[datetime] = moment()
    actor: Named[UUID | None] = Column(Uuid())
    actor_kind: Named[str] = Column(Text())
    action: Named[str] = Column(Text())
    target_kind: Named[str] = Column(Text())
    target: Named[str] = Column(Text())
    before: Named[dict[str, Any] | None] = Column(JSONB())
    after: Named[dict[str, Any] | None] = Column(JSONB())
    request_id: Named[str | None] = Column(Text())
    address: Named[str | None] = Column(Text())


users = Table("users", metadata, UserColumns)
sessions = Table("sessions", metadata, SessionColumns)
refresh_tokens = Table("refresh_tokens", metadata, RefreshTokenColumns)
one_time_codes = Table("one_time_codes", metadata, OneTimeCodeColumns)
recovery_codes = Table("recovery_codes", metadata, RecoveryCodeColumns)
account_notices = Table("account_notices", metadata, AccountNoticeColumns)
api_keys = Table("api_keys", metadata, ApiKeyColumns)
security_events = Table("security_events", metadata, SecurityEventColumns)
audit_log = Table("audit_log", metadata, AuditLogColumns)

Index("users_role", users.c.role, users.c.id, postgresql_where=users.c.role != "customer")
Index("sessions_user", sessions.c.user_id, sessions.c.id)
Index("sessions_expires", sessions.c.expires_at)
Index(
    "refresh_tokens_current",
    refresh_tokens.c.session_id,
    unique=True,
    postgresql_where=refresh_tokens.c.used_at.is_(None),
)
Index("refresh_tokens_session", refresh_tokens.c.session_id)
Index(
    "one_time_codes_user",
    one_time_codes.c.user_id,
    postgresql_where=one_time_codes.c.user_id.is_not(None),
)
Index("one_time_codes_expires", one_time_codes.c.expires_at)
Index(
    "account_notices_user",
    account_notices.c.user_id,
    postgresql_where=account_notices.c.user_id.is_not(None),
)
Index(
    "account_notices_code",
    account_notices.c.code_id,
    postgresql_where=account_notices.c.code_id.is_not(None),
)
Index("account_notices_created", account_notices.c.created_at)
Index("api_keys_user", api_keys.c.user_id, api_keys.c.id)
Index("security_events_user", security_events.c.user_id, security_events.c.id)
Index("security_events_at", security_events.c.at)
Index("audit_log_actor", audit_log.c.actor, audit_log.c.id)
Index("audit_log_target", audit_log.c.target_kind, audit_log.c.target, audit_log.c.id)
