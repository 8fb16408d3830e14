"""The tables as SQLAlchemy knows them; checks and triggers stand in the migrations."""

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
    SmallInteger,
    Table,
    Text,
    TypedColumns,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db import (
    account_tables,
    audit_tables,
    bulk_tables,
    cart_tables,
    catalogue_tables,
    gateway_tables,
    import_tables,
    operation_tables,
    pricing_tables,
    review_tables,
    sample_tables,
    search_tables,
    stock_tables,
)
from db.metadata import index_grown, metadata, moment, xid
from db.order_tables import OrderColumns, OrderLineColumns


class OrderEventColumns(TypedColumns):
    order_id: Named[UUID] = Column(Uuid(), ForeignKey("orders.id"), primary_key=True)
    version: Named[int] = Column(Integer(), primary_key=True, autoincrement=False)
    kind: Named[str] = Column(Text())
    status: Named[str] = Column(Text())
    data: Named[dict[str, Any]] = Column(JSONB())
    at: Named[datetime] = moment()
    xid: Named[int | None] = xid()
    actor: Named[dict[str, Any] | None] = Column(JSONB())


class ReservationColumns(TypedColumns):
    order_id: Named[UUID] = Column(Uuid(), ForeignKey("orders.id"), primary_key=True)
    sku: Named[str] = Column(Text(), primary_key=True)
    quantity: Named[int] = Column(Integer())
    state: Named[str] = Column(Text(), server_default="held")


class IdempotencyKeyColumns(TypedColumns):
    scope: Named[str] = Column(Text(), primary_key=True)
    key: Named[str] = Column(Text(), primary_key=True)
    fingerprint: Named[bytes] = Column(LargeBinary())
    status: Named[int] = Column(SmallInteger())
    body: Named[bytes] = Column(LargeBinary())
    order_id: Named[UUID] = Column(Uuid())
    created_at: Named[datetime] = moment()


class QueueColumns(TypedColumns):
    name: Named[str] = Column(Text(), primary_key=True)
    paused: Named[bool] = Column(server_default=text("false"))
    running_max: Named[int | None] = Column(Integer())
    drain_to: Named[int | None] = Column(BigInteger())
    changed_by: Named[UUID | None] = Column(Uuid())
    changed_at: Named[datetime | None] = Column(DateTime(timezone=True))


class TaskColumns(TypedColumns):
    id: Named[int] = Column(BigInteger(), Identity(always=True), primary_key=True)
    queue: Named[str] = Column(Text())
    kind: Named[str] = Column(Text())
    order_id: Named[UUID | None] = Column(Uuid(), ForeignKey("orders.id"))
    payload: Named[dict[str, Any]] = Column(JSONB(), server_default=text("'{}'"))
    state: Named[str] = Column(Text(), server_default="ready")
    attempt: Named[int] = Column(Integer(), server_default=text("0"))
    attempts_max: Named[int] = Column(Integer())
    run_at: Named[datetime] = moment()
    lease_until: Named[datetime | None] = Column(DateTime(timezone=True))
    last_error: Named[str | None] = Column(Text())
    traceparent: Named[str | None] = Column(Text())
    created_at: Named[datetime] = moment()
    finished_at: Named[datetime | None] = Column(DateTime(timezone=True))


class CronRunColumns(TypedColumns):
    job: Named[str] = Column(Text(), primary_key=True)
    slot: Named[datetime] = Column(DateTime(timezone=True), primary_key=True)


class PaymentAttemptColumns(TypedColumns):
    id: Named[UUID] = Column(Uuid(), primary_key=True)
    order_id: Named[UUID] = Column(Uuid(), ForeignKey("orders.id"))
    kind: Named[str] = Column(Text())
    state: Named[str] = Column(Text())
    amount_minor: Named[int] = Column(BigInteger())
    currency: Named[str] = Column(Text())
    gateway: Named[str] = Column(Text())
    gateway_ref: Named[str | None] = Column(Text())
    error: Named[str | None] = Column(Text())
    sent_at: Named[datetime | None] = Column(DateTime(timezone=True))
    final: Named[bool] = Column(server_default=text("true"))
    reason: Named[str | None] = Column(Text())
    fee_minor: Named[int] = Column(BigInteger(), server_default=text("0"))
    expires_at: Named[datetime | None] = Column(DateTime(timezone=True))
    expiry_noticed_at: Named[datetime | None] = Column(DateTime(timezone=True))
    client_secret: Named[str | None] = Column(Text())
    reconciled_at: Named[datetime | None] = Column(DateTime(timezone=True))
    created_at: Named[datetime] = moment()
    updated_at: Named[datetime] = moment()


class LedgerEntryColumns(TypedColumns):
    transaction_id: Named[UUID] = Column(Uuid(), primary_key=True)
    account: Named[str] = Column(Text(), primary_key=True)
    order_id: Named[UUID] = Column(Uuid())
    amount_minor: Named[int] = Column(BigInteger())
    currency: Named[str] = Column(Text())
    created_at: Named[datetime] = moment()
    xid: Named[int | None] = xid()


class InboxColumns(TypedColumns):
    source: Named[str] = Column(Text(), primary_key=True)
    message_id: Named[str] = Column(Text(), primary_key=True)
    kind: Named[str] = Column(Text())
    payload: Named[dict[str, Any]] = Column(JSONB())
    order_id: Named[UUID | None] = Column(Uuid())
    received_at: Named[datetime] = moment()


class FindingColumns(TypedColumns):
    id: Named[int] = Column(BigInteger(), Identity(always=True), primary_key=True)
    kind: Named[str] = Column(Text())
    subject: Named[str] = Column(Text())
    order_id: Named[UUID | None] = Column(Uuid())
    detail: Named[str] = Column(Text())
    opened_at: Named[datetime] = moment()
    closed_at: Named[datetime | None] = Column(DateTime(timezone=True))
    note: Named[str | None] = Column(Text())


class GatewayBreakerColumns(TypedColumns):
    gateway: Named[str] = Column(Text(), primary_key=True)
    process: Named[str] = Column(Text(), primary_key=True)
    state: Named[str] = Column(Text())
    since: Named[datetime] = moment()


class NotificationColumns(TypedColumns):
    order_id: Named[UUID] = Column(Uuid(), ForeignKey("orders.id"), primary_key=True)
    kind: Named[str] = Column(Text(), primary_key=True)
    channel: Named[str] = Column(Text(), primary_key=True)
    recipient: Named[str] = Column(Text())
    state: Named[str] = Column(Text(), server_default="pending")
    error: Named[str | None] = Column(Text())
    created_at: Named[datetime] = moment()
    sent_at: Named[datetime | None] = Column(DateTime(timezone=True))


# Who has this module's metadata has the other tables in it, too.
accounts, audits, gateways = account_tables, audit_tables, gateway_tables
imported = import_tables
operations, movements = operation_tables, stock_tables
sampled, bulks, reviewed = sample_tables, bulk_tables, review_tables
carts, searched, prices = cart_tables, search_tables, pricing_tables

variants = catalogue_tables.variants
stock = stock_tables.stock
orders = Table("orders", metadata, OrderColumns)
order_lines = Table("order_lines", metadata, OrderLineColumns)
order_events = Table("order_events", metadata, OrderEventColumns)
reservations = Table("reservations", metadata, ReservationColumns)
idempotency_keys = Table("idempotency_keys", metadata, IdempotencyKeyColumns)
queues = Table("queues", metadata, QueueColumns)
tasks = Table("tasks", metadata, TaskColumns)
cron_runs = Table("cron_runs", metadata, CronRunColumns)
payment_attempts = Table("payment_attempts", metadata, PaymentAttemptColumns)
ledger_entries = Table("ledger_entries", metadata, LedgerEntryColumns)
notifications = Table("notifications", metadata, NotificationColumns)
inbox = Table("inbox", metadata, InboxColumns)
findings = Table("findings", metadata, FindingColumns)
gateway_breakers = Table("gateway_breakers", metadata, GatewayBreakerColumns)

Index("idempotency_keys_created", idempotency_keys.c.created_at)
Index("orders_email_id", orders.c.email, orders.c.id)
Index("orders_status_id", orders.c.status, orders.c.id)
Index("order_lines_sku", order_lines.c.sku, order_lines.c.order_id)
Index("tasks_order", tasks.c.order_id)
Index("tasks_dead", tasks.c.id, postgresql_where=tasks.c.state == "dead")
Index("tasks_cancelled", tasks.c.id, postgresql_where=tasks.c.state == "cancelled")
Index(
    "tasks_ready",
    tasks.c.queue,
    tasks.c.run_at,
    tasks.c.id,
    postgresql_where=tasks.c.state == "ready",
)
Index(
    "tasks_running",
    tasks.c.queue,
    tasks.c.lease_until,
    postgresql_where=tasks.c.state == "running",
)
Index(
    "payment_attempts_taking",
    payment_attempts.c.order_id,
    unique=True,
    postgresql_where=payment_attempts.c.kind.in_(("charge", "authorize"))
    & payment_attempts.c.state.in_(("created", "sent", "unknown", "action_required", "succeeded")),
)
Index(
    "payment_attempts_open",
    payment_attempts.c.order_id,
    unique=True,
    postgresql_where=payment_attempts.c.state.in_(("sent", "unknown", "action_required")),
)
Index("payment_attempts_order", payment_attempts.c.order_id)
Index(
    "payment_attempts_ref",
    payment_attempts.c.gateway_ref,
    postgresql_where=payment_attempts.c.gateway_ref.is_not(None),
)
Index(
    "payment_attempts_expiring",
    payment_attempts.c.expires_at,
    postgresql_where=payment_attempts.c.expires_at.is_not(None)
    & payment_attempts.c.expiry_noticed_at.is_(None),
)
Index(
    "payment_attempts_changed",
    payment_attempts.c.updated_at,
    postgresql_where=text(
        "kind IN ('capture', 'void', 'refund') OR updated_at - created_at > interval '1 hour'"
    ),
)
Index(
    "orders_reserved_until",
    orders.c.reserved_until,
    postgresql_where=orders.c.status == "reserved",
)
Index(
    "orders_unpaid_customer",
    func.lower(orders.c.email),
    postgresql_where=orders.c.status.in_(("placed", "backordered", "reserved")),
)
Index(
    "orders_user_id",
    orders.c.user_id,
    orders.c.id,
    postgresql_where=orders.c.user_id.is_not(None),
)
Index("ledger_entries_order", ledger_entries.c.order_id)
Index("inbox_received", inbox.c.received_at)
Index(
    "findings_open",
    findings.c.kind,
    findings.c.subject,
    unique=True,
    postgresql_where=findings.c.closed_at.is_(None),
)
for grown in (order_events, ledger_entries):
    index_grown(grown, "xid")
index_grown(order_events, "at")
