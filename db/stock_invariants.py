"""What breaks S1: stock that is sold twice, and orders that do not hold what they should."""

from collections.abc import Mapping
from typing import LiteralString

QUERIES: Mapping[str, LiteralString] = {
    "S1 reserved stock is on hand": """
    SELECT sku, format('%%s reserved, %%s on hand', reserved, on_hand)
    FROM stock WHERE reserved > on_hand OR reserved < 0 LIMIT %(limit)s
    """,
    # Read by way of the orders that may hold stock, which are few beside those that ever did; what
    # others hold breaks the invariant below.
    "S1 reserved stock is what orders hold": """
    SELECT sku, format('%%s reserved, orders hold %%s', s.reserved, coalesce(r.held, 0))
    FROM stock s FULL JOIN (
        SELECT sku, sum(quantity) AS held FROM orders JOIN reservations r ON order_id = id
        WHERE status IN ('reserved', 'review') AND r.state = 'held' GROUP BY sku
    ) AS r USING (sku)
    WHERE s.reserved IS DISTINCT FROM coalesce(r.held, 0) LIMIT %(limit)s
    """,
    "S1 an order holds what its status says": """
    SELECT o.id::text, format('%%s: line of %%s x %%s, %%s x %%s', o.status,
                              coalesce(l.quantity, 0), sku,
                              coalesce(r.state, 'nothing'), coalesce(r.quantity, 0))
    FROM (SELECT order_id, sku, quantity FROM order_lines WHERE order_id IN SCOPE) AS l
    FULL JOIN (
        SELECT order_id, sku, quantity, state FROM reservations WHERE order_id IN SCOPE
    ) AS r USING (order_id, sku)
    JOIN orders o ON o.id = order_id
    WHERE o.id IN SCOPE AND (CASE
        WHEN o.status IN ('placed', 'backordered') THEN r.state IS NOT NULL
        WHEN o.status IN ('reserved', 'review') THEN r.state IS DISTINCT FROM 'held'
        WHEN o.status = 'cancelled' THEN coalesce(r.state, 'released') <> 'released'
        WHEN o.status = 'returned' THEN r.state = 'held'
        ELSE r.state IS DISTINCT FROM 'committed'
        END OR r.state IS NOT NULL AND r.quantity IS DISTINCT FROM l.quantity)
    LIMIT %(limit)s
    """,
}
