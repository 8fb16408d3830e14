-- The whole life of a two-line order as four plain transactions, for pgbench: what a program that
-- handles one order at a time cannot beat, as it would have to do the same and be a program besides.
-- Tables, indexes, triggers, row contents and durability are those of the product. Each row is
-- written as few times and in as few statements as its transaction allows.

-- 1 to SKUS of workload.py, two different ones.
\set sku_a random(1, 1000)
\set sku_b 1 + (:sku_a + random(0, 998)) % 1000
\set quantity_a random(1, 3)
\set quantity_b random(1, 3)
\set customer random(1, 1000)

-- Accept.
BEGIN;
SELECT uuidv7() AS order_id, a.sku AS a, b.sku AS b, a.price_minor AS price_a,
       b.price_minor AS price_b, a.name AS name_a, b.name AS name_b,
       a.price_minor * :quantity_a + b.price_minor * :quantity_b AS total
FROM variants a, variants b
WHERE a.sku = 'SKU-' || :sku_a::int AND b.sku = 'SKU-' || :sku_b::int AND a.active AND b.active
\gset
INSERT INTO idempotency_keys (scope, key, fingerprint, status, body, order_id)
VALUES ('public', gen_random_uuid()::text, sha256('order'), 202, repeat('x', 470)::bytea, :order_id)
ON CONFLICT DO NOTHING;
INSERT INTO orders (id, email, status, currency, total_minor, payment_method, ship_to, version,
                    traceparent)
VALUES (:order_id, 'customer' || :customer::int || '@example.com', 'placed', 'GBP', :total,
        'pm_card_visa',
        '{"name": "Customer 500", "line1": "500 High Street", "city": "London", "country": "GB",
          "postcode": "N1 9GU"}',
        1, '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00');
INSERT INTO order_lines (order_id, line, sku, quantity, unit_minor, name, tax_class)
VALUES (:order_id, 1, :a, :quantity_a, :price_a, :name_a, 'standard'),
       (:order_id, 2, :b, :quantity_b, :price_b, :name_b, 'standard');
INSERT INTO order_events (order_id, version, kind, status, data)
VALUES (:order_id, 1, 'order_placed', 'placed',
        jsonb_build_object('lines', 2, 'total_minor', :total::bigint, 'currency', 'GBP'));
INSERT INTO tasks (queue, kind, order_id, attempts_max, traceparent)
VALUES ('inventory', 'reserve', :order_id, 8,
        '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00')
RETURNING id AS reserve
\gset
COMMIT;

-- Reserve.
BEGIN;
UPDATE tasks SET state = 'done', attempt = attempt + 1, finished_at = now()
WHERE id = :reserve AND attempt = 0;
SELECT s.sku, s.on_hand - s.reserved AS available, l.quantity
FROM order_lines l JOIN stock s USING (sku)
WHERE l.order_id = :order_id ORDER BY s.sku FOR NO KEY UPDATE OF s;
INSERT INTO reservations (order_id, sku, quantity)
VALUES (:order_id, :a, :quantity_a), (:order_id, :b, :quantity_b);
UPDATE stock s
SET reserved = s.reserved + l.quantity, version = s.version + 1, updated_at = now()
FROM order_lines l WHERE l.order_id = :order_id AND s.sku = l.sku;
UPDATE orders SET status = 'reserved', version = version + 1, updated_at = now()
WHERE id = :order_id AND version = 1;
INSERT INTO order_events (order_id, version, kind, status, data)
VALUES (:order_id, 2, 'stock_reserved', 'reserved', '{}');
INSERT INTO tasks (queue, kind, order_id, attempts_max, traceparent)
VALUES ('payments', 'charge', :order_id, 20,
        '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00')
RETURNING id AS charge
\gset
COMMIT;

-- Pay; the gateway has said yes, at no cost.
BEGIN;
UPDATE tasks SET state = 'done', attempt = attempt + 1, finished_at = now()
WHERE id = :charge AND attempt = 0;
UPDATE orders SET status = 'paid', version = version + 1, updated_at = now()
WHERE id = :order_id AND version = 2;
INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway,
                              gateway_ref)
VALUES (uuidv7(), :order_id, 'charge', 'succeeded', :total, 'GBP', 'instant',
        'pi_0af7651916cd43dd8448eb211c80319c')
RETURNING id AS attempt
\gset
INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency)
VALUES (:attempt, 'gateway_cash', :order_id, :total, 'GBP'),
       (:attempt, 'receivable', :order_id, -:total::bigint, 'GBP');
UPDATE reservations SET state = 'committed' WHERE order_id = :order_id;
SELECT s.sku FROM order_lines l JOIN stock s USING (sku)
WHERE l.order_id = :order_id ORDER BY s.sku FOR NO KEY UPDATE OF s;
UPDATE stock s
SET on_hand = s.on_hand - l.quantity, reserved = s.reserved - l.quantity,
    version = s.version + 1, updated_at = now()
FROM order_lines l WHERE l.order_id = :order_id AND s.sku = l.sku;
INSERT INTO order_events (order_id, version, kind, status, data)
VALUES (:order_id, 3, 'order_paid', 'paid',
        jsonb_build_object('attempt_id', :attempt::text, 'amount_minor', :total::bigint,
                           'gateway_ref', 'pi_0af7651916cd43dd8448eb211c80319c'));
INSERT INTO tasks (queue, kind, order_id, payload, attempts_max, traceparent)
VALUES ('notifications', 'notify', :order_id, '{"notice": "order_confirmed"}', 20,
        '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00')
RETURNING id AS notify
\gset
COMMIT;

-- Notify; the mail is taken, at no cost.
BEGIN;
UPDATE tasks SET state = 'done', attempt = attempt + 1, finished_at = now()
WHERE id = :notify AND attempt = 0;
SELECT o.email, o.total_minor, p.name, l.quantity, l.quantity * l.unit_minor AS amount
FROM orders o JOIN order_lines l ON l.order_id = o.id JOIN variants p USING (sku)
WHERE o.id = :order_id ORDER BY l.line;
INSERT INTO notifications (order_id, kind, channel, recipient, state, sent_at)
SELECT id, 'order_confirmed', 'email', email, 'sent', now() FROM orders WHERE id = :order_id;
COMMIT;
