"""What breaks S2 to S4: money taken twice, wrongly or without an order, and books that are off."""

from collections.abc import Mapping
from typing import LiteralString

QUERIES: Mapping[str, LiteralString] = {
    "S2 a charge is of the order's total, once": """
    SELECT o.id::text, format('%%s charges succeeded, of %%s; the total is %%s %%s',
                              a.charges, a.amounts, o.total_minor, o.currency)
    FROM orders o JOIN (
        SELECT order_id, count(*) AS charges, min(amount_minor) AS least,
               max(amount_minor) AS most, min(currency) AS first, max(currency) AS last,
               string_agg(amount_minor || ' ' || currency, ', ') AS amounts
        FROM payment_attempts
        WHERE kind IN ('charge', 'authorize') AND state = 'succeeded'
          AND order_id IN SCOPE
        GROUP BY order_id
    ) AS a ON a.order_id = o.id
    WHERE (a.charges, a.least, a.most, a.first, a.last)
          <> (1, o.total_minor, o.total_minor, o.currency, o.currency) LIMIT %(limit)s
    """,
    # Two unique indexes say so, until somebody drops one.
    "S2 one charge of an order is live, and one call open, at most": """
    SELECT order_id::text, format('%%s charges live, %%s calls open', live, open)
    FROM (
        SELECT order_id,
               count(*) FILTER (WHERE kind IN ('charge', 'authorize') AND state <> 'declined')
                 AS live,
               count(*) FILTER (WHERE state IN ('sent', 'unknown', 'action_required')) AS open
        FROM payment_attempts WHERE order_id IN SCOPE GROUP BY order_id
    ) AS a WHERE live > 1 OR open > 1 LIMIT %(limit)s
    """,
    "S2 no more is captured than was authorized, nor refunded than was captured": """
    SELECT order_id::text, format('%%s authorized, %%s captured, %%s refunded',
                                  charged + held, charged + captured, refunded)
    FROM (
        SELECT order_id,
               coalesce(sum(amount_minor) FILTER (WHERE kind = 'charge'), 0) AS charged,
               coalesce(sum(amount_minor) FILTER (WHERE kind = 'authorize'), 0) AS held,
               coalesce(sum(amount_minor) FILTER (WHERE kind = 'capture'), 0) AS captured,
               coalesce(sum(amount_minor) FILTER (WHERE kind = 'refund'), 0) AS refunded
        FROM payment_attempts
        WHERE state = 'succeeded' AND order_id IN SCOPE GROUP BY order_id
    ) AS moved
    WHERE captured > held OR refunded > charged + captured LIMIT %(limit)s
    """,
    "S3 an order is confirmed if and only if it is paid": """
    SELECT o.id::text, format('%%s with %%s of %%s %%s', o.status,
                              greatest(l.taken, a.amount_minor, 0), o.total_minor, o.currency)
    FROM orders o LEFT JOIN (
        SELECT order_id, -sum(amount_minor) AS taken FROM ledger_entries
        WHERE account = 'receivable' AND order_id IN SCOPE GROUP BY order_id
    ) AS l ON l.order_id = o.id
    LEFT JOIN payment_attempts a
      ON a.order_id = o.id AND a.order_id IN SCOPE AND a.kind = 'authorize'
      AND a.state = 'succeeded'
    WHERE o.id IN SCOPE AND o.status NOT IN ('cancelled', 'returned')
      AND greatest(l.taken, a.amount_minor, 0)
          <> CASE WHEN o.status IN ('paid', 'shipped', 'delivered') THEN o.total_minor
             ELSE 0 END
    LIMIT %(limit)s
    """,
    "S3 a cancelled order at rest keeps no money": """
    SELECT o.id::text, format('%%s %%s kept', l.kept, o.currency)
    FROM (
        SELECT order_id, -sum(amount_minor) AS kept FROM ledger_entries
        WHERE account IN ('receivable', 'refunds') AND order_id IN SCOPE
        GROUP BY order_id HAVING sum(amount_minor) <> 0
    ) AS l JOIN orders o ON o.id = l.order_id
    WHERE o.status = 'cancelled' AND NOT EXISTS (
        SELECT FROM tasks t WHERE t.order_id = o.id AND t.state IN ('ready', 'running'))
    LIMIT %(limit)s
    """,
    # A void releases all that is left, also what it left to a capture that was withdrawn then.
    "S3 a cancelled order at rest holds no authorization": """
    SELECT o.id::text, format('%%s %%s still authorized', a.held, o.currency)
    FROM (
        SELECT order_id,
               sum(CASE kind WHEN 'authorize' THEN amount_minor ELSE -amount_minor END) AS held
        FROM payment_attempts
        WHERE kind IN ('authorize', 'capture', 'void') AND state = 'succeeded'
          AND order_id IN SCOPE
        GROUP BY order_id HAVING NOT bool_or(kind = 'void' OR kind = 'capture' AND final)
    ) AS a JOIN orders o ON o.id = a.order_id
    WHERE a.held > 0 AND o.status = 'cancelled' AND NOT EXISTS (
        SELECT FROM tasks t WHERE t.order_id = o.id AND t.state IN ('ready', 'running'))
    LIMIT %(limit)s
    """,
    "S4 a ledger transaction sums to zero": """
    SELECT order_id::text,
           format('%%s %%s too much in %%s', sum(amount_minor), currency, transaction_id)
    FROM ledger_entries WHERE order_id IN SCOPE
    GROUP BY order_id, transaction_id, currency HAVING sum(amount_minor) <> 0 LIMIT %(limit)s
    """,
    # As `domain.ledger.book` says: cash and fees are what was captured and not refunded. A
    # refund that failed later is booked twice, there and back; one by hand is no cash of a gateway.
    "S4 the ledger is what the gateway did": """
    SELECT coalesce(a.order_id, l.order_id)::text,
           format('attempt %%s, %%s of %%s, ledger %%s', coalesce(a.id, l.transaction_id),
                  coalesce(a.account, l.account), coalesce(a.minor, 0),
                  coalesce(l.amount_minor, 0))
    FROM (
        SELECT id, order_id, currency, account, minor
        FROM payment_attempts CROSS JOIN LATERAL (VALUES
            ('gateway_cash', CASE WHEN kind <> 'refund' THEN amount_minor - fee_minor
                             WHEN gateway = 'by-hand' THEN 0 ELSE -amount_minor END),
            ('settled_elsewhere', CASE WHEN kind = 'refund' AND gateway = 'by-hand'
                                  THEN -amount_minor ELSE 0 END),
            ('fees', CASE kind WHEN 'refund' THEN 0 ELSE fee_minor END),
            ('receivable', CASE kind WHEN 'refund' THEN 0 ELSE -amount_minor END),
            ('refunds', CASE kind WHEN 'refund' THEN amount_minor ELSE 0 END)
        ) AS entry (account, minor)
        WHERE state = 'succeeded' AND kind IN ('charge', 'capture', 'refund')
          AND order_id IN SCOPE AND minor <> 0
        UNION ALL
        SELECT booked, order_id, currency, account, minor
        FROM payment_attempts
        CROSS JOIN LATERAL (SELECT md5(id || ':reversed')::uuid AS reversal) AS r
        CROSS JOIN LATERAL (VALUES
            (id, 'gateway_cash', -amount_minor), (id, 'refunds', amount_minor),
            (reversal, 'gateway_cash', amount_minor), (reversal, 'refunds', -amount_minor)
        ) AS entry (booked, account, minor)
        WHERE state = 'declined' AND kind = 'refund' AND order_id IN SCOPE
          AND EXISTS (SELECT FROM ledger_entries WHERE transaction_id = reversal)
    ) AS a FULL JOIN (
        SELECT transaction_id, order_id, currency, account, amount_minor
        FROM ledger_entries WHERE order_id IN SCOPE
    ) AS l ON l.transaction_id = a.id AND l.account = a.account
    WHERE (a.order_id, a.currency, a.minor)
          IS DISTINCT FROM (l.order_id, l.currency, l.amount_minor) LIMIT %(limit)s
    """,
}
