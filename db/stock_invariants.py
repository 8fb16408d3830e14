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
    "S1 locations have what orders hold there, and no more than there is": """
    SELECT sku, format('%%s of %%s reserved at locations, %%s of %%s in all, orders hold %%s there',
                       coalesce(l.reserved, 0), coalesce(l.on_hand, 0), coalesce(s.reserved, 0),
                       coalesce(s.on_hand, 0), coalesce(p.held, 0))
    FROM (SELECT sku, sum(reserved) AS reserved, sum(on_hand) AS on_hand,
                 bool_or(reserved > on_hand OR reserved < 0) AS wrong
          FROM stock_levels GROUP BY sku) AS l
    FULL JOIN (
        SELECT sku, sum(held) AS held, bool_or(held IS DISTINCT FROM l.reserved) AS wrong FROM (
            SELECT p.sku, location_id, sum(p.quantity) AS held
            FROM orders o JOIN reservations r ON r.order_id = o.id AND r.state = 'held'
            JOIN reservation_parts p ON p.order_id = o.id AND p.sku = r.sku
            WHERE status IN ('reserved', 'review') GROUP BY p.sku, location_id
        ) AS h LEFT JOIN stock_levels l USING (sku, location_id) GROUP BY sku
    ) AS p USING (sku)
    LEFT JOIN stock s USING (sku)
    WHERE l.wrong OR p.wrong OR l.reserved IS DISTINCT FROM coalesce(p.held, 0)
       OR l.reserved > s.reserved OR s.sku IS NULL
       OR l.on_hand - l.reserved > s.on_hand - s.reserved
    LIMIT %(limit)s
    """,
    "S1 an order is allocated no more than it holds": """
    SELECT order_id::text, format('%%s x %%s at locations, %%s held', p.quantity, sku,
                                  coalesce(r.quantity, 0))
    FROM (SELECT order_id, sku, sum(quantity) AS quantity FROM reservation_parts
          WHERE order_id IN SCOPE GROUP BY order_id, sku) AS p
    LEFT JOIN reservations r USING (order_id, sku)
    WHERE p.quantity > coalesce(r.quantity, 0) LIMIT %(limit)s
    """,
    "S1 promised stock is what orders wait for": """
    SELECT sku, format('%%s promised, orders wait for %%s', coalesce(s.backordered, 0),
                       coalesce(b.promised, 0))
    FROM stock s FULL JOIN (
        SELECT sku, sum(quantity) AS promised FROM backorders GROUP BY sku
    ) AS b USING (sku)
    WHERE coalesce(s.backordered, 0) <> coalesce(b.promised, 0) LIMIT %(limit)s
    """,
    "S1 an order waits for what its lines say": """
    SELECT o.id::text, format('%%s: line of %%s x %%s, waits for %%s', o.status,
                              coalesce(l.quantity, 0), sku, coalesce(b.quantity, 0))
    FROM (SELECT order_id, sku, l.quantity FROM orders w JOIN order_lines l ON order_id = w.id
          WHERE status = 'backordered' AND w.id IN SCOPE) AS l
    FULL JOIN (SELECT order_id, sku, quantity FROM backorders WHERE order_id IN SCOPE) AS b
        USING (order_id, sku)
    JOIN orders o ON o.id = order_id
    WHERE l.quantity IS DISTINCT FROM b.quantity LIMIT %(limit)s
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
