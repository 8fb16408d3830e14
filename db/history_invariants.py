"""What breaks S5, S7 and S8: what was accepted, by which key, and what led to a status."""

from collections.abc import Mapping
from typing import LiteralString

QUERIES: Mapping[str, LiteralString] = {
    "S5 an order's total is what was accepted": """
    SELECT o.id::text, format('%%s %%s; its lines come to %%s, accepted were %%s %%s',
                              o.total_minor, o.currency, coalesce(l.total_minor, 0),
                              e.data ->> 'total_minor', e.data ->> 'currency')
    FROM orders o LEFT JOIN (
        SELECT order_id, sum(quantity * unit_minor) AS total_minor FROM order_lines
        WHERE order_id IN SCOPE GROUP BY order_id
    ) AS l ON l.order_id = o.id
    LEFT JOIN order_events e
      ON e.order_id = o.id AND e.order_id IN SCOPE AND e.version = 1 AND e.kind = 'order_placed'
    WHERE o.id IN SCOPE AND (l.total_minor IS DISTINCT FROM o.total_minor
        OR (e.data ->> 'total_minor')::bigint <> o.total_minor
        OR e.data ->> 'currency' <> o.currency)
    LIMIT %(limit)s
    """,
    # An order and its key are of one transaction, hence of one time; by that time a key is found,
    # until it is forgotten after some days, or with the person whose account is deleted.
    "S7 an order was made by one key": """
    SELECT id::text, format('%%s keys made it', coalesce(keys, 0))
    FROM orders LEFT JOIN (
        SELECT order_id, created_at, count(*) AS keys FROM idempotency_keys
        WHERE created_at IN (SELECT created_at FROM orders WHERE id IN SCOPE
                             AND created_at > now() - interval '2 days')
        GROUP BY order_id, created_at
    ) AS k ON order_id = id AND k.created_at = orders.created_at
    WHERE id IN SCOPE AND orders.created_at > now() - interval '2 days'
      AND keys IS DISTINCT FROM 1
      AND NOT (keys IS NULL AND EXISTS (
          SELECT FROM users u WHERE u.id = orders.user_id AND u.deleted_at IS NOT NULL))
    LIMIT %(limit)s
    """,
    "S8 events are numbered without gaps up to the order's version": """
    SELECT o.id::text, format('version %%s, %%s events from %%s to %%s', o.version,
                              coalesce(e.events, 0), e.first, e.last)
    FROM orders o LEFT JOIN (
        SELECT order_id, count(*) AS events, min(version) AS first, max(version) AS last
        FROM order_events WHERE order_id IN SCOPE GROUP BY order_id
    ) AS e ON e.order_id = o.id
    WHERE o.id IN SCOPE
      AND (e.events, e.first, e.last) IS DISTINCT FROM (o.version::bigint, 1, o.version)
    LIMIT %(limit)s
    """,
    "S8 every step is a legal move": """
    SELECT order_id::text, format('version %%s moved from %%s to %%s', version,
                                  coalesce(was, 'nothing'), status)
    FROM (
        SELECT order_id, version, status,
               lag(status) OVER (PARTITION BY order_id ORDER BY version) AS was
        FROM order_events WHERE order_id IN SCOPE
    ) AS step
    WHERE coalesce(was, '') <> status
      AND coalesce(was, '') || '>' || status <> ALL (%(moves)b::text[])
    LIMIT %(limit)s
    """,
    "S8 an order's status is that of its last event": """
    SELECT o.id::text, format('%%s, but its last event says %%s', o.status, e.status)
    FROM orders o JOIN order_events e ON e.order_id = o.id AND e.version = o.version
    WHERE o.id IN SCOPE AND e.order_id IN SCOPE AND e.status <> o.status LIMIT %(limit)s
    """,
}
