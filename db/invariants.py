"""The safety invariants that Postgres alone can tell, each a query for the rows that break it."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import LiteralString
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import allow_scans, fetch
from domain.status import MOVES

# A broken invariant breaks for a reason: its first rows tell as much as all of them.
ROWS_MAX = 20
# Enough to name what holds up a run of orders.
UNSETTLED_MAX = 5000

NIL = UUID(int=0)


class Violation(msgspec.Struct, frozen=True):
    """A row that breaks an invariant; `subject` is an order, a SKU or a ledger transaction."""

    invariant: str
    subject: str
    detail: str


class Invariant(msgspec.Struct, frozen=True):
    """One that must hold at any instant; `query` yields subject and detail of what breaks it."""

    name: str
    query: LiteralString


class Unsettled(msgspec.Struct, frozen=True):
    """An order with work still to do, and the oldest of that work."""

    order_id: UUID
    kind: str
    state: str
    attempt: int
    run_at: datetime
    last_error: str | None


# Each query is one statement, hence one snapshot: a transaction in flight breaks none of them.
INVARIANTS: Sequence[Invariant] = (
    Invariant(
        "S1 reserved stock is on hand",
        """
        SELECT sku, format('%%s reserved, %%s on hand', reserved, on_hand)
        FROM stock WHERE reserved > on_hand OR reserved < 0 LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S1 reserved stock is what orders hold",
        """
        SELECT sku, format('%%s reserved, orders hold %%s', s.reserved, coalesce(r.held, 0))
        FROM stock s FULL JOIN (
            SELECT sku, sum(quantity) AS held FROM reservations WHERE state = 'held' GROUP BY sku
        ) AS r USING (sku)
        WHERE s.reserved IS DISTINCT FROM coalesce(r.held, 0) LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S1 an order holds what its status says",
        """
        SELECT o.id::text, format('%%s: line of %%s x %%s, %%s x %%s', o.status, l.quantity, l.sku,
                                  coalesce(r.state, 'nothing'), coalesce(r.quantity, 0))
        FROM orders o JOIN order_lines l ON l.order_id = o.id
        LEFT JOIN reservations r ON r.order_id = o.id AND r.sku = l.sku
        WHERE o.id >= %(orders_from)s AND CASE
            WHEN o.status IN ('placed', 'backordered') THEN r.state IS NOT NULL
            WHEN o.status IN ('reserved', 'review') THEN r.state IS DISTINCT FROM 'held'
            WHEN o.status = 'cancelled' THEN coalesce(r.state, 'released') <> 'released'
            WHEN o.status <> 'returned' THEN r.state IS DISTINCT FROM 'committed' ELSE false END
        OR o.id >= %(orders_from)s AND r.quantity <> l.quantity LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S2 a charge is of the order's total, once",
        """
        SELECT o.id::text, format('%%s charges succeeded, of %%s; the total is %%s %%s',
                                  a.charges, a.amounts, o.total_minor, o.currency)
        FROM orders o JOIN (
            SELECT order_id, count(*) AS charges, min(amount_minor) AS least,
                   max(amount_minor) AS most, min(currency) AS first, max(currency) AS last,
                   string_agg(amount_minor || ' ' || currency, ', ') AS amounts
            FROM payment_attempts
            WHERE kind IN ('charge', 'authorize') AND state = 'succeeded'
              AND order_id >= %(orders_from)s
            GROUP BY order_id
        ) AS a ON a.order_id = o.id
        WHERE (a.charges, a.least, a.most, a.first, a.last)
              <> (1, o.total_minor, o.total_minor, o.currency, o.currency) LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S2 no more is captured than was authorized, nor refunded than was captured",
        """
        SELECT order_id::text, format('%%s authorized, %%s captured, %%s refunded',
                                      charged + held, charged + captured, refunded)
        FROM (
            SELECT order_id,
                   coalesce(sum(amount_minor) FILTER (WHERE kind = 'charge'), 0) AS charged,
                   coalesce(sum(amount_minor) FILTER (WHERE kind = 'authorize'), 0) AS held,
                   coalesce(sum(amount_minor) FILTER (WHERE kind = 'capture'), 0) AS captured,
                   coalesce(sum(amount_minor) FILTER (WHERE kind = 'refund'), 0) AS refunded
            FROM payment_attempts
            WHERE state = 'succeeded' AND order_id >= %(orders_from)s GROUP BY order_id
        ) AS moved
        WHERE captured > held OR refunded > charged + captured LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S3 an order is confirmed if and only if it is paid",
        """
        SELECT o.id::text, format('%%s with %%s of %%s %%s', o.status,
                                  greatest(l.taken, a.amount_minor, 0), o.total_minor, o.currency)
        FROM orders o LEFT JOIN (
            SELECT order_id, -sum(amount_minor) AS taken FROM ledger_entries
            WHERE account = 'receivable' AND order_id >= %(orders_from)s GROUP BY order_id
        ) AS l ON l.order_id = o.id
        LEFT JOIN payment_attempts a
          ON a.order_id = o.id AND a.kind = 'authorize' AND a.state = 'succeeded'
        WHERE o.id >= %(orders_from)s AND o.status NOT IN ('cancelled', 'returned')
          AND greatest(l.taken, a.amount_minor, 0)
              <> CASE WHEN o.status IN ('paid', 'shipped', 'delivered') THEN o.total_minor
                 ELSE 0 END
        LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S3 a cancelled order at rest keeps no money",
        """
        SELECT o.id::text, format('%%s %%s kept', l.kept, o.currency)
        FROM (
            SELECT order_id, -sum(amount_minor) AS kept FROM ledger_entries
            WHERE account IN ('receivable', 'refunds') AND order_id >= %(orders_from)s
            GROUP BY order_id HAVING sum(amount_minor) <> 0
        ) AS l JOIN orders o ON o.id = l.order_id
        WHERE o.status = 'cancelled' AND NOT EXISTS (
            SELECT FROM tasks t WHERE t.order_id = o.id AND t.state IN ('ready', 'running'))
        LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S3 a cancelled order at rest holds no authorization",
        """
        SELECT o.id::text, format('%%s %%s still authorized', a.held, o.currency)
        FROM (
            SELECT order_id,
                   sum(CASE kind WHEN 'authorize' THEN amount_minor ELSE -amount_minor END) AS held
            FROM payment_attempts
            WHERE kind IN ('authorize', 'capture', 'void') AND state = 'succeeded'
              AND order_id >= %(orders_from)s
            GROUP BY order_id HAVING NOT bool_or(kind = 'capture' AND final)
        ) AS a JOIN orders o ON o.id = a.order_id
        WHERE a.held > 0 AND o.status = 'cancelled' AND NOT EXISTS (
            SELECT FROM tasks t WHERE t.order_id = o.id AND t.state IN ('ready', 'running'))
        LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S4 a ledger transaction sums to zero",
        """
        SELECT transaction_id::text, format('%%s %%s too much', sum(amount_minor), currency)
        FROM ledger_entries WHERE order_id >= %(orders_from)s
        GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0 LIMIT %(limit)s
        """,
    ),
    Invariant(
        # As `domain.ledger.book` says: cash and fees are what was captured and not refunded. A
        # refund that failed later is booked twice, there and back.
        "S4 the ledger is what the gateway did",
        """
        SELECT coalesce(a.order_id, l.order_id)::text,
               format('attempt %%s, %%s of %%s, ledger %%s', coalesce(a.id, l.transaction_id),
                      coalesce(a.account, l.account), coalesce(a.minor, 0),
                      coalesce(l.amount_minor, 0))
        FROM (
            SELECT id, order_id, currency, account, minor
            FROM payment_attempts CROSS JOIN LATERAL (VALUES
                ('gateway_cash', CASE kind WHEN 'refund' THEN -amount_minor
                                 ELSE amount_minor - fee_minor END),
                ('fees', CASE kind WHEN 'refund' THEN 0 ELSE fee_minor END),
                ('receivable', CASE kind WHEN 'refund' THEN 0 ELSE -amount_minor END),
                ('refunds', CASE kind WHEN 'refund' THEN amount_minor ELSE 0 END)
            ) AS entry (account, minor)
            WHERE state = 'succeeded' AND kind IN ('charge', 'capture', 'refund')
              AND order_id >= %(orders_from)s AND minor <> 0
            UNION ALL
            SELECT booked, order_id, currency, account, minor
            FROM payment_attempts
            CROSS JOIN LATERAL (SELECT md5(id || ':reversed')::uuid AS reversal) AS r
            CROSS JOIN LATERAL (VALUES
                (id, 'gateway_cash', -amount_minor), (id, 'refunds', amount_minor),
                (reversal, 'gateway_cash', amount_minor), (reversal, 'refunds', -amount_minor)
            ) AS entry (booked, account, minor)
            WHERE state = 'declined' AND kind = 'refund' AND order_id >= %(orders_from)s
              AND EXISTS (SELECT FROM ledger_entries WHERE transaction_id = reversal)
        ) AS a FULL JOIN (
            SELECT transaction_id, order_id, currency, account, amount_minor
            FROM ledger_entries WHERE order_id >= %(orders_from)s
        ) AS l ON l.transaction_id = a.id AND l.account = a.account
        WHERE (a.order_id, a.currency, a.minor)
              IS DISTINCT FROM (l.order_id, l.currency, l.amount_minor) LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S8 events are numbered without gaps up to the order's version",
        """
        SELECT o.id::text, format('version %%s, %%s events from %%s to %%s', o.version,
                                  coalesce(e.events, 0), e.first, e.last)
        FROM orders o LEFT JOIN (
            SELECT order_id, count(*) AS events, min(version) AS first, max(version) AS last
            FROM order_events WHERE order_id >= %(orders_from)s GROUP BY order_id
        ) AS e ON e.order_id = o.id
        WHERE o.id >= %(orders_from)s
          AND (e.events, e.first, e.last) IS DISTINCT FROM (o.version::bigint, 1, o.version)
        LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S8 every step is a legal move",
        """
        SELECT order_id::text, format('version %%s moved from %%s to %%s', version,
                                      coalesce(was, 'nothing'), status)
        FROM (
            SELECT order_id, version, status,
                   lag(status) OVER (PARTITION BY order_id ORDER BY version) AS was
            FROM order_events WHERE order_id >= %(orders_from)s
        ) AS step
        WHERE coalesce(was, '') <> status
          AND coalesce(was, '') || '>' || status <> ALL (%(moves)b::text[])
        LIMIT %(limit)s
        """,
    ),
    Invariant(
        "S8 an order's status is that of its last event",
        """
        SELECT o.id::text, format('%%s, but its last event says %%s', o.status, e.status)
        FROM orders o JOIN order_events e ON e.order_id = o.id AND e.version = o.version
        WHERE o.id >= %(orders_from)s AND e.status <> o.status LIMIT %(limit)s
        """,
    ),
)

# An order begins as placed; what follows is `MOVES`.
_STEPS = [">placed", *(f"{was}>{to}" for was, ways in MOVES.items() for to in ways)]


async def check(tx: AsyncConnection, *, orders_from: UUID = NIL) -> list[Violation]:
    """Find what breaks an invariant, `ROWS_MAX` rows of each at most.

    With `orders_from` only orders from that id on are looked at, which ids of version 7 make
    a period of time; stock is always looked at as a whole.
    """
    params = {"orders_from": orders_from, "limit": ROWS_MAX, "moves": _STEPS}
    await allow_scans(tx)
    found: list[Violation] = []
    for invariant in INVARIANTS:
        found += await fetch(tx, partial(Violation, invariant.name), invariant.query, params)
    return found


async def unsettled(
    tx: AsyncConnection, order_ids: Sequence[UUID] | None = None
) -> list[Unsettled]:
    """Find orders that are not at rest: whose work is due, planned or under way.

    All orders, or those of `order_ids`; `UNSETTLED_MAX` at most.
    """
    return await fetch(
        tx,
        Unsettled,
        """
        SELECT DISTINCT ON (order_id) order_id, kind, state, attempt, run_at, last_error
        FROM tasks
        WHERE state IN ('ready', 'running') AND order_id IS NOT NULL
          AND (%(ids)b::uuid[] IS NULL OR order_id = ANY (%(ids)b::uuid[]))
        ORDER BY order_id, id LIMIT %(limit)s
        """,
        {"ids": None if order_ids is None else list(order_ids), "limit": UNSETTLED_MAX},
    )
