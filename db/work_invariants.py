"""What breaks liveness as SQL sees it: work that stands still, or goes on and on."""

from collections.abc import Mapping
from typing import LiteralString

# Sixty sweeps of every clock: what stands still for longer than that, nobody takes up.
QUERIES: Mapping[str, LiteralString] = {
    "L1 an order that is not at rest has work or a reason": """
    SELECT id::text, format('%%s since %%s, and nothing is under way', status, updated_at), id
    FROM orders o LEFT JOIN LATERAL (
        SELECT true AS declined FROM payment_attempts a
        WHERE a.order_id = o.id AND a.state = 'declined' LIMIT 1) AS a ON true
    WHERE status IN ('placed', 'reserved')
      AND NOT EXISTS (SELECT FROM tasks t WHERE t.order_id = o.id
                      AND t.state IN ('ready', 'running', 'dead'))
      AND NOT (status = 'reserved' AND reserved_until > now() - interval '60 s'
               AND coalesce(declined, false))
    LIMIT %(limit)s
    """,
    # What lies at locations may be at too many of them.
    "L1 who is next in line gets what is there": """
    SELECT id::text, format('backordered since %%s, and its stock is there', updated_at), id
    FROM orders o WHERE status = 'backordered' AND updated_at < now() - interval '60 s'
      AND NOT EXISTS (
          SELECT FROM backorders b JOIN stock s USING (sku)
          WHERE b.order_id = o.id
            AND (located OR on_hand - reserved < quantity
                 OR s.updated_at > now() - interval '60 s'
                 OR EXISTS (SELECT FROM backorders older
                            WHERE older.sku = b.sku AND older.order_id < o.id)))
      AND NOT EXISTS (SELECT FROM tasks t WHERE kind = 'fill_backorders'
                      AND t.state IN ('ready', 'running', 'dead'))
    LIMIT %(limit)s
    """,
    "L2 a lease that ran out is taken back": """
    SELECT 'task ' || id, format('%%s, attempt %%s, its lease ended at %%s', kind, attempt,
                                 lease_until), order_id
    FROM tasks WHERE state = 'running' AND lease_until < now() - interval '60 s' LIMIT %(limit)s
    """,
    # One query for each state: there is an index of each.
    "L5 a task is tried no more often than it may be": """
    SELECT 'task ' || id, format('%%s, %%s attempts of %%s', kind, attempt, attempts_max), order_id
    FROM (SELECT * FROM tasks WHERE state = 'ready' UNION ALL
          SELECT * FROM tasks WHERE state = 'running' UNION ALL
          SELECT * FROM tasks WHERE state = 'dead') AS t
    WHERE attempt > attempts_max LIMIT %(limit)s
    """,
}
