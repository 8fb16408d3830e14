"""What breaks each invariant, as SQL that no transaction of ours would run."""

from collections.abc import Sequence

PRODUCT = """
INSERT INTO catalogue_products (id, slug, name) VALUES (gen_random_uuid(), 'lamp', 'Lamp')
"""

DISCOUNT = """
INSERT INTO discounts (id, slug, kind, value) VALUES (gen_random_uuid(), 'ten', 'percentage', 1000)
"""

# What breaks the rows of order :paid, :undone (paid, then cancelled), :held, :part (captured in
# part), :dropped (captured in part, then cancelled) or of SKU lamp.
CORRUPTIONS: Sequence[tuple[str, Sequence[str]]] = (
    (
        "S1 reserved stock is on hand",
        [
            "ALTER TABLE stock DROP CONSTRAINT stock_check",
            "UPDATE stock SET on_hand = reserved - 1 WHERE sku = 'lamp'",
        ],
    ),
    (
        "S1 reserved stock is what orders hold",
        ["UPDATE stock SET reserved = reserved + 1 WHERE sku = 'lamp'"],
    ),
    (
        "S1 reserved stock is what orders hold",
        ["DELETE FROM stock WHERE sku = 'lamp'"],
    ),
    (
        "S1 an order holds what its status says",
        ["UPDATE reservations SET state = 'released' WHERE order_id = :paid AND sku = 'lamp'"],
    ),
    (
        "S1 an order holds what its status says",
        ["DELETE FROM reservations WHERE order_id = :paid AND sku = 'lamp'"],
    ),
    (
        "S1 an order holds what its status says",
        ["UPDATE reservations SET quantity = 9 WHERE order_id = :undone AND sku = 'lamp'"],
    ),
    (
        "S1 an order holds what its status says",
        ["INSERT INTO reservations VALUES (:undone, 'chair', 1, 'released')"],
    ),
    (
        "S1 locations have what orders hold there, and no more than there is",
        ["INSERT INTO stock_levels VALUES ('lamp', gen_random_uuid(), 99, 0)"],
    ),
    (
        "S1 locations have what orders hold there, and no more than there is",
        ["INSERT INTO stock_levels VALUES ('lamp', gen_random_uuid(), 3, 1)"],
    ),
    (
        "S1 an order is allocated no more than it holds",
        ["INSERT INTO reservation_parts VALUES (:paid, 'lamp', gen_random_uuid(), 9)"],
    ),
    (
        "S1 promised stock is what orders wait for",
        ["UPDATE stock SET backordered = 1 WHERE sku = 'lamp'"],
    ),
    (
        "S1 an order waits for what its lines say",
        [
            "INSERT INTO backorders VALUES ('lamp', :paid, 2)",
            "UPDATE stock SET backordered = 2 WHERE sku = 'lamp'",
        ],
    ),
    (
        "S2 one charge of an order is live, and one call open, at most",
        [
            "DROP INDEX payment_attempts_taking",
            """
            INSERT INTO payment_attempts
                (id, order_id, kind, state, amount_minor, currency, gateway)
            SELECT gen_random_uuid(), :held, 'charge', 'created', 1500, 'GBP', 'stripe'
            FROM generate_series(1, 2)
            """,
        ],
    ),
    (
        "S2 a charge is of the order's total, once",
        [
            "UPDATE payment_attempts SET currency = 'EUR' WHERE order_id = :paid",
            "UPDATE ledger_entries SET currency = 'EUR' WHERE order_id = :paid",
        ],
    ),
    (
        "S2 no more is captured than was authorized, nor refunded than was captured",
        [
            """
            INSERT INTO payment_attempts
                (id, order_id, kind, state, amount_minor, currency, gateway)
            VALUES (gen_random_uuid(), :paid, 'refund', 'succeeded', 1501, 'GBP', 'stripe')
            """,
            """
            INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency)
            SELECT id, account, order_id, amount, 'GBP' FROM payment_attempts,
                (VALUES ('gateway_cash', -1501), ('refunds', 1501)) AS side (account, amount)
            WHERE order_id = :paid AND kind = 'refund'
            """,
        ],
    ),
    (
        "S3 an order is confirmed if and only if it is paid",
        [
            "DELETE FROM payment_attempts WHERE order_id = :paid",
            "DELETE FROM ledger_entries WHERE order_id = :paid",
        ],
    ),
    (
        "S3 an order is confirmed if and only if it is paid",
        [
            """
            INSERT INTO payment_attempts
                (id, order_id, kind, state, amount_minor, currency, gateway)
            VALUES (gen_random_uuid(), :held, 'charge', 'succeeded', 1500, 'GBP', 'stripe')
            """,
            """
            INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency)
            SELECT id, account, order_id, amount, 'GBP' FROM payment_attempts,
                (VALUES ('gateway_cash', 1500), ('receivable', -1500)) AS side (account, amount)
            WHERE order_id = :held
            """,
        ],
    ),
    (
        "S3 a cancelled order at rest keeps no money",
        [
            """
            DELETE FROM ledger_entries WHERE transaction_id IN (
                SELECT id FROM payment_attempts WHERE order_id = :undone AND kind = 'refund')
            """,
            "DELETE FROM payment_attempts WHERE order_id = :undone AND kind = 'refund'",
        ],
    ),
    (
        "S3 a cancelled order at rest holds no authorization",
        ["DELETE FROM payment_attempts WHERE order_id = :dropped AND kind = 'void'"],
    ),
    (
        "S4 the ledger is what the gateway did",
        ["UPDATE payment_attempts SET state = 'sent' WHERE order_id = :part AND kind = 'capture'"],
    ),
    (
        "S4 the ledger is what the gateway did",
        ["UPDATE payment_attempts SET fee_minor = fee_minor + 1 WHERE order_id = :paid"],
    ),
    (
        "S4 the ledger is what the gateway did",
        [
            """
            UPDATE ledger_entries SET amount_minor = CASE account WHEN 'fees' THEN 28 ELSE 172 END
            WHERE order_id = :part AND account <> 'receivable'
            """
        ],
    ),
    # A sum that is wrong is not what was done, either.
    (
        "S4 a ledger transaction sums to zero",
        [
            """
            UPDATE ledger_entries SET amount_minor = amount_minor + 1
            WHERE order_id = :paid AND account = 'gateway_cash'
            """
        ],
    ),
    (
        "S5 an order's total is what was accepted",
        ["UPDATE orders SET total_minor = total_minor + 1 WHERE id = :short"],
    ),
    (
        "S5 an order's total is what was accepted",
        ["UPDATE order_lines SET unit_minor = unit_minor + 1 WHERE order_id = :short"],
    ),
    (
        "S5 an order's total is what was accepted",
        ["UPDATE orders SET shipping_minor = 1 WHERE id = :short"],
    ),
    (
        "S5 discounts and taxes of an order are those of its lines",
        ["UPDATE order_lines SET discount_minor = 1 WHERE order_id = :short"],
    ),
    (
        "S5 an order that is cancelled gives its discounts back, and no other does",
        [
            DISCOUNT,
            """
            INSERT INTO discount_redemptions (order_id, discount_id, mailbox, amount_minor)
            SELECT :undone, id, 'ann@example.com', 5 FROM discounts
            """,
        ],
    ),
    (
        "S5 a discount was given as often as it counts",
        [DISCOUNT, "UPDATE discounts SET slug = 'lamp', uses_max = 5, uses = 1"],
    ),
    (
        "R1 a rating is what the published reviews come to",
        [PRODUCT, "INSERT INTO product_ratings SELECT id, 1, 5 FROM catalogue_products"],
    ),
    (
        "R1 a rating is what the published reviews come to",
        [
            PRODUCT,
            """
            INSERT INTO reviews (id, product_id, user_id, order_id, stars, state)
            SELECT gen_random_uuid(), id, id, :paid, 5, 'published' FROM catalogue_products
            """,
        ],
    ),
    (
        "P1 an order of an erased account names nobody",
        [
            "INSERT INTO users (id, deleted_at) VALUES (gen_random_uuid(), now())",
            """
            UPDATE orders SET user_id = u.id FROM users u
            WHERE orders.id = :paid AND u.deleted_at IS NOT NULL
            """,
        ],
    ),
    (
        "C1 a category that is deleted has nothing in it",
        [
            """
            INSERT INTO categories (id, slug, name, deleted_at)
            VALUES (gen_random_uuid(), 'lamp', 'Lamps', now())
            """,
            PRODUCT,
            "UPDATE catalogue_products SET category_id = (SELECT id FROM categories)",
        ],
    ),
    (
        "S7 an order was made by one key",
        ["DELETE FROM idempotency_keys WHERE order_id = :paid"],
    ),
    (
        "S7 an order was made by one key",
        [
            """
            INSERT INTO idempotency_keys
                (scope, key, fingerprint, status, body, order_id, created_at)
            SELECT scope, 'another', fingerprint, status, body, order_id, created_at
            FROM idempotency_keys WHERE order_id = :paid
            """
        ],
    ),
    (
        "S8 events are numbered without gaps up to the order's version",
        [
            "UPDATE order_events SET version = 4 WHERE order_id = :paid AND version = 3",
            "UPDATE orders SET version = 4 WHERE id = :paid",
        ],
    ),
    (
        "S8 events are numbered without gaps up to the order's version",
        ["DELETE FROM order_events WHERE order_id = :paid"],
    ),
    (
        "S8 every step is a legal move",
        ["UPDATE order_events SET status = 'backordered' WHERE order_id = :paid AND version = 2"],
    ),
    (
        "S8 every step is a legal move",
        ["UPDATE order_events SET status = 'reserved' WHERE order_id = :paid AND version = 1"],
    ),
    (
        "S8 an order's status is that of its last event",
        ["UPDATE orders SET status = 'shipped' WHERE id = :paid"],
    ),
)

# What only a system at work is spared.
STALLS: Sequence[tuple[str, Sequence[str]]] = (
    (
        "L1 an order that is not at rest has work or a reason",
        ["DELETE FROM tasks WHERE order_id = :held"],
    ),
    (
        "L1 who is next in line gets what is there",
        [
            """
            UPDATE orders SET status = 'backordered', updated_at = now() - interval '61 s'
            WHERE id = :held
            """,
            "UPDATE order_events SET status = 'backordered' WHERE order_id = :held AND version = 2",
            "DELETE FROM reservations WHERE order_id = :held",
            "INSERT INTO backorders VALUES ('lamp', :held, 3)",
            """
            UPDATE stock SET reserved = 0, backordered = 3, updated_at = now() - interval '61 s'
            WHERE sku = 'lamp'
            """,
        ],
    ),
    (
        "L2 a lease that ran out is taken back",
        [
            """
            UPDATE tasks SET state = 'running', lease_until = now() - interval '61 s'
            WHERE order_id = :held AND kind = 'charge'
            """
        ],
    ),
    (
        "L5 a task is tried no more often than it may be",
        ["UPDATE tasks SET attempt = attempts_max + 1 WHERE order_id = :held AND state = 'ready'"],
    ),
)
