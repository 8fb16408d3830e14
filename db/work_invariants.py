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
