"""What breaks S5, S7, S8 and P1: what was accepted, by which key, what followed, and for whom."""

from collections.abc import Mapping
from typing import LiteralString

QUERIES: Mapping[str, LiteralString] = {
    "S5 an order's total is what was accepted": """
    SELECT o.id::text, format('%%s %%s; its parts come to %%s, accepted were %%s %%s',
                              o.total_minor, o.currency, coalesce(l.total_minor, 0),
                              e.data ->> 'total_minor', e.data ->> 'currency')
    FROM orders o LEFT JOIN (
        SELECT li.order_id, sum(quantity * unit_minor) - p.discount_minor + p.shipping_minor
                 + CASE WHEN p.tax_included THEN 0 ELSE p.tax_minor END AS total_minor
        FROM order_lines li JOIN orders p ON p.id = li.order_id
        WHERE li.order_id IN SCOPE GROUP BY li.order_id, p.id
    ) AS l ON l.order_id = o.id
    LEFT JOIN order_events e
      ON e.order_id = o.id AND e.order_id IN SCOPE AND e.version = 1 AND e.kind = 'order_placed'
    WHERE o.id IN SCOPE AND (l.total_minor IS DISTINCT FROM o.total_minor
        OR (e.data ->> 'total_minor')::bigint <> o.total_minor
        OR e.data ->> 'currency' <> o.currency)
    LIMIT %(limit)s
    """,
    # What is taxed beside the lines is shipping.
    "S5 discounts and taxes of an order are those of its lines": """
    SELECT o.id::text, format('%%s off and %%s tax, of lines %%s and %%s', o.discount_minor,
                              o.tax_minor, l.discount_minor, l.tax_minor)
    FROM orders o JOIN (
        SELECT order_id, sum(discount_minor) AS discount_minor, sum(tax_minor) AS tax_minor
        FROM order_lines WHERE order_id IN SCOPE GROUP BY order_id
    ) AS l ON l.order_id = o.id
    WHERE o.id IN SCOPE AND (o.discount_minor <> l.discount_minor OR o.tax_minor < l.tax_minor
        OR o.tax_minor > l.tax_minor AND o.shipping_minor = 0)
    LIMIT %(limit)s
    """,
    "S5 an order that is cancelled gives its discounts back, and no other does": """
    SELECT o.id::text, format('%%s, and %%s given back', o.status,
                              CASE WHEN r.given_back_at IS NULL THEN 'not' ELSE 'yet' END)
    FROM discount_redemptions r JOIN orders o ON o.id = r.order_id
    WHERE r.order_id IN SCOPE AND (o.status = 'cancelled') = (r.given_back_at IS NULL)
    LIMIT %(limit)s
    """,
    "S5 a discount was given as often as it counts": """
    SELECT d.slug, format('%%s counted, %%s given', d.uses, r.given)
    FROM discounts d CROSS JOIN LATERAL (
        SELECT count(*) AS given FROM discount_redemptions r
        WHERE r.discount_id = d.id AND given_back_at IS NULL
    ) AS r WHERE d.uses_max IS NOT NULL AND d.uses <> r.given LIMIT %(limit)s
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
    "P1 an order of an erased account names nobody": """
    SELECT o.id::text, 'its account is erased, and its e-mail address is not'
    FROM orders o JOIN users u ON u.id = o.user_id
    WHERE o.id IN SCOPE AND u.deleted_at IS NOT NULL AND o.email NOT LIKE '%%@erased.invalid'
    LIMIT %(limit)s
    """,
}
