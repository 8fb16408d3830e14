"""What a storm left behind: Postgres, and what lies outside the platform, read as it is."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import LiteralString, TypeVar

import msgspec
import psycopg
from psycopg.rows import args_row

from db.audits import AUDITED
from db.invariants import Violation
from ops.local import audit
from ops.sandbox import ledger
from ops.sandbox.journal import whole_end
from ops.sandbox.ledger import Settlement
from ops.sandbox.mailbox import FILE, Kept, letter
from ops.storm.history import Entry, History
from ops.storm.resources import Resources
from ops.storm.witness import WriteRow
from workers import auditor

Row = TypeVar("Row")
_AUDITED = frozenset(invariant.name for invariant in AUDITED)
# Subject and detail of what breaks a promise.
Found = Iterator[tuple[str, str]]


class OrderRow(msgspec.Struct, frozen=True):
    id: str
    email: str
    status: str
    currency: str
    total_minor: int
    capture: str
    version: int
    items: Mapping[str, int]


class EventRow(msgspec.Struct, frozen=True):
    order_id: str
    version: int
    kind: str
    status: str
    attempt_id: str | None
    at: float = 0.0  # Unix time, by the clock of Postgres
    operation: str | None = None  # with money, that somebody asked for
    reason: str | None = None


class TaskRow(msgspec.Struct, frozen=True):
    """A task; `lease_expired` is by the clock of Postgres."""

    id: int
    order_id: str | None
    kind: str
    state: str
    attempt: int
    attempts_max: int
    last_error: str | None
    lease_expired: bool
    notice: str | None  # or the id of the mail of an account
    poison: bool


class AttemptRow(msgspec.Struct, frozen=True):
    id: str
    order_id: str
    kind: str
    state: str
    amount_minor: int


class KeyRow(msgspec.Struct, frozen=True):
    scope: str
    key: str
    order_id: str


class StockRow(msgspec.Struct, frozen=True):
    sku: str
    on_hand: int
    reserved: int


class BookedRow(msgspec.Struct, frozen=True):
    """What the ledger has of an order: sums by account."""

    order_id: str
    currency: str
    captured: int
    refunded: int
    cash: int
    fees: int


class NotificationRow(msgspec.Struct, frozen=True):
    order_id: str
    kind: str
    state: str


class NoticeRow(msgspec.Struct, frozen=True):
    """A mail of an account."""

    id: str
    kind: str
    state: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known after a storm; `mails` counts by message id."""

    history: Sequence[Entry] = ()
    began_at: float = 0.0  # Unix time at which history begins
    stocked: Mapping[str, int] = {}
    prices: Mapping[str, int] = {}
    orders: Mapping[str, OrderRow] = {}
    events: Sequence[EventRow] = ()
    tasks: Sequence[TaskRow] = ()
    attempts: Sequence[AttemptRow] = ()
    keys: Sequence[KeyRow] = ()
    stock: Sequence[StockRow] = ()
    booked: Sequence[BookedRow] = ()
    notifications: Sequence[NotificationRow] = ()
    notices: Sequence[NoticeRow] = ()
    writes: Sequence[WriteRow] = ()  # to tasks, in their order
    settlements: Mapping[str, Settlement] = {}
    mails: Mapping[str, int] = {}
    addressed: Mapping[str, frozenset[str]] = {}  # recipients by message id
    slips: Sequence[str] = ()  # lines of logs that tell what they must not
    broken: Sequence[Violation] = ()  # what Postgres tells of itself
    found: Sequence[Violation] = ()  # what the auditor found, and is open still
    before: Resources | None = None
    after: Resources | None = None


def is_in(e: Evidence, order_id: str, status: str) -> bool:
    """Tell whether an order is in a status."""
    return order_id in e.orders and e.orders[order_id].status == status


_ORDERS = """
SELECT o.id::text, o.email, o.status, o.currency, o.total_minor, o.capture, o.version,
       jsonb_object_agg(l.sku, l.quantity)
FROM orders o JOIN order_lines l ON l.order_id = o.id GROUP BY o.id
"""
_EVENTS = """
SELECT order_id::text, version, kind, status, data ->> 'attempt_id',
       extract(epoch FROM at)::float8, data ->> 'operation', data ->> 'reason'
FROM order_events ORDER BY order_id, version
"""
_TASKS = """
SELECT id, order_id::text, kind, state, attempt, attempts_max, last_error,
       coalesce(lease_until < now(), false),
       coalesce(payload ->> 'notice', payload ->> 'notice_id'), payload ? 'poison'
FROM tasks
"""
_ATTEMPTS = "SELECT id::text, order_id::text, kind, state, amount_minor FROM payment_attempts"
_KEYS = "SELECT scope, key, order_id::text FROM idempotency_keys"
_STOCK = "SELECT sku, on_hand, reserved FROM stock"
_BOOKED = """
SELECT order_id::text, currency,
       (-coalesce(sum(amount_minor) FILTER (WHERE account = 'receivable'), 0))::bigint,
       coalesce(sum(amount_minor) FILTER (
           WHERE account IN ('refunds', 'settled_elsewhere')), 0)::bigint,
       coalesce(sum(amount_minor) FILTER (WHERE account = 'gateway_cash'), 0)::bigint,
       coalesce(sum(amount_minor) FILTER (WHERE account = 'fees'), 0)::bigint
FROM ledger_entries GROUP BY order_id, currency
"""
_NOTIFICATIONS = "SELECT order_id::text, kind, state FROM notifications"
_FOUND = "SELECT kind, subject, detail FROM findings WHERE closed_at IS NULL"
_NOTICES = "SELECT id::text, kind, state FROM account_notices"


# Where nobody says what things cost, that is not looked at.
_UNTOLD: Mapping[str, int] = {}


async def gather(  # noqa: PLR0913 - each is a witness of its own
    url: str,
    sandbox: Path,
    *,
    history: History,
    stocked: Mapping[str, int],
    prices: Mapping[str, int] = _UNTOLD,
    writes: Sequence[WriteRow],
    before: Resources | None = None,
    after: Resources | None = None,
) -> Evidence:
    """Read everything there is, once nothing moves any more."""
    broken = await _audited(url)
    came = mails(sandbox)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        orders = await _rows(connection, OrderRow, _ORDERS)
        violations = await _rows(connection, Violation, _FOUND)
        found = Evidence(
            history=history.entries,
            began_at=history.began_at,
            stocked=stocked,
            prices=prices,
            orders={order.id: order for order in orders},
            events=await _rows(connection, EventRow, _EVENTS),
            tasks=await _rows(connection, TaskRow, _TASKS),
            attempts=await _rows(connection, AttemptRow, _ATTEMPTS),
            keys=await _rows(connection, KeyRow, _KEYS),
            stock=await _rows(connection, StockRow, _STOCK),
            booked=await _rows(connection, BookedRow, _BOOKED),
            notifications=await _rows(connection, NotificationRow, _NOTIFICATIONS),
            notices=await _rows(connection, NoticeRow, _NOTICES),
            found=[one for one in violations if one.invariant in _AUDITED],
            writes=writes,
            settlements=ledger.settlements(sandbox),
            mails=Counter(message_id for message_id, _ in came),
            addressed=_recipients(came),
            before=before,
            after=after,
        )
    return msgspec.structs.replace(found, broken=broken)


async def _rows(
    connection: psycopg.AsyncConnection, row: Callable[..., Row], query: LiteralString
) -> list[Row]:
    async with connection.cursor(row_factory=args_row(row)) as cursor:
        await cursor.execute(query)
        return await cursor.fetchall()


async def _audited(url: str) -> Sequence[Violation]:
    """Give what is broken now; what the auditor found before and is gone, it closes."""
    audited = audit.database(url)
    try:
        await auditor.audit(audited)
        return await audit.check(audited)
    finally:
        await audited.engine.dispose()


def mails(sandbox: Path) -> Sequence[tuple[str, Sequence[str]]]:
    """Read message id and recipients of each mail in the sandbox's journal."""
    path = sandbox / FILE
    if not path.exists():
        return []
    with path.open("rb") as file:
        lines = file.read(whole_end(path)).splitlines()
    kept = [msgspec.json.decode(line, type=Kept) for line in lines]
    return [(letter(0, each).message_id, each.recipients) for each in kept]


def _recipients(came: Sequence[tuple[str, Sequence[str]]]) -> Mapping[str, frozenset[str]]:
    to: dict[str, set[str]] = defaultdict(set)
    for message_id, recipients in came:
        to[message_id].update(recipients)
    return {message_id: frozenset(each) for message_id, each in to.items()}
