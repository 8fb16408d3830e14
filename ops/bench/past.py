"""A past for the auditor to look at: orders as they are after weeks, written by SQL alone."""

from ops.bench.books import Connection

SKUS = 10_000
# As if an order had come every so many seconds until now.
EVERY_S = 2.5
# Orders written in one transaction, so that none takes long.
SLICE = 50_000

# Beyond all numbers.
NONE = 2**31 - 1

_CATALOGUE = """
    INSERT INTO variants (sku, name, price_minor, currency)
    SELECT 'SKU-' || n, 'Product ' || n, 1000, 'GBP' FROM generate_series(0, %(skus)s - 1) AS n
    ON CONFLICT DO NOTHING
    """
_STOCK = """
    INSERT INTO stock (sku, on_hand) SELECT sku, 1000000 FROM variants ON CONFLICT DO NOTHING
    """

# The newest are under way, from some number on: two of three wait for their charge, the others for
# stock. Of those before one of twenty was cancelled, the rest is paid.
_ORDERS = """
    CREATE TEMP TABLE slice ON COMMIT DROP AS
    SELECT g, at, CASE WHEN g >= %(under_way)s AND g %% 3 = 0 THEN 'placed'
                  WHEN g >= %(under_way)s THEN 'reserved'
                  WHEN g %% 20 = 2 THEN 'cancelled' ELSE 'paid' END AS status,
           (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008'
            || lpad(to_hex(g), 15, '0'))::uuid AS id
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS g,
         LATERAL (SELECT now() - (%(now)s - g) * make_interval(secs => %(every_s)s) AS at) AS t
    """
_WRITTEN = (
    """
    INSERT INTO orders (id, email, status, cancel_reason, currency, total_minor, payment_method,
                        ship_to, reserved_until, version, created_at, updated_at)
    SELECT id, 'customer' || g %% 50000 || '@example.com', status,
           CASE status WHEN 'cancelled' THEN 'out_of_stock' END, 'GBP', 2000, 'pm_card_visa',
           '{"name": "Ann", "line1": "1 High Street", "city": "London",
            "postcode": "N1 1AA", "country": "GB"}',
           now() + interval '1 hour',
           CASE status WHEN 'placed' THEN 1 WHEN 'paid' THEN 3 ELSE 2 END, at, at FROM slice
    """,
    """
    INSERT INTO idempotency_keys (scope, key, fingerprint, status, body, order_id, created_at)
    SELECT 'public', id, sha256('order'), 202, repeat('x', 470)::bytea, id, at
    FROM slice WHERE at > now() - interval '3 days'
    """,
    """
    INSERT INTO order_lines (order_id, line, sku, quantity, unit_minor)
    SELECT id, 1 + n, 'SKU-' || (g * (1 + 6 * n) + n) %% %(skus)s, 1, 1000
    FROM slice, generate_series(0, 1) AS n
    """,
    """
    INSERT INTO order_events (order_id, version, kind, status, data, at, xid)
    SELECT id, version, kind, e.status, data::jsonb, at,
           coalesce(%(xid)s, pg_current_xact_id()::text::bigint)
    FROM slice s JOIN (VALUES
        (1, 'order_placed', 'placed', '{"lines": 2, "currency": "GBP", "total_minor": 2000}', NULL),
        (2, 'stock_reserved', 'reserved', '{}', '{reserved,paid}'),
        (2, 'order_cancelled', 'cancelled', '{"reason": "out_of_stock"}', '{cancelled}'),
        (3, 'order_paid', 'paid', '{"amount_minor": 2000, "gateway_ref": "pi_1"}', '{paid}')
    ) AS e (version, kind, status, data, of_those)
      ON of_those IS NULL OR s.status = ANY (of_those::text[])
    ORDER BY g, version
    """,
    """
    INSERT INTO reservations (order_id, sku, quantity, state)
    SELECT order_id, sku, 1, CASE status WHEN 'paid' THEN 'committed' ELSE 'held' END
    FROM slice JOIN order_lines ON order_id = id WHERE status IN ('reserved', 'paid')
    """,
    """
    INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway,
                                  gateway_ref, fee_minor, created_at)
    SELECT md5(id::text)::uuid, id, 'charge', 'succeeded', 2000, 'GBP', 'stripe', 'pi_' || g, 29, at
    FROM slice WHERE status = 'paid'
    """,
    """
    INSERT INTO ledger_entries (transaction_id, account, order_id, amount_minor, currency, xid)
    SELECT md5(id::text)::uuid, account, id, minor, 'GBP',
           coalesce(%(xid)s, pg_current_xact_id()::text::bigint)
    FROM slice, (VALUES ('gateway_cash', 1971), ('fees', 29), ('receivable', -2000))
      AS entry (account, minor) WHERE status = 'paid' ORDER BY g
    """,
    """
    INSERT INTO tasks (queue, kind, order_id, state, attempt, attempts_max, run_at, finished_at)
    SELECT queue, kind, id, state, (state = 'done')::int, 20, at,
           CASE state WHEN 'done' THEN at END
    FROM slice s JOIN (VALUES ('placed', 'inventory', 'reserve', 'ready'),
        ('reserved', 'payments', 'charge', 'ready'), ('paid', 'notifications', 'notify', 'done'),
        ('cancelled', 'notifications', 'notify', 'done')) AS t (status, queue, kind, state)
      USING (status) WHERE state <> 'done' OR at > now() - interval '7 days'
    """,
    """
    UPDATE stock s SET reserved = reserved + held FROM (
        SELECT sku, count(*) AS held FROM slice JOIN order_lines ON order_id = id
        WHERE status = 'reserved' GROUP BY sku) AS h WHERE s.sku = h.sku
    """,
)


async def begin(connection: Connection) -> None:
    """Write what is missing of the catalogue.

    Foreign keys and triggers are off for this connection.
    """
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(_CATALOGUE, {"skus": SKUS})
    await connection.execute(_STOCK)


async def write(
    connection: Connection,
    numbers: range,
    *,
    now: int,
    under_way: int = NONE,
    xid: int | None = None,
) -> None:
    """Write orders by number in one transaction, whose own number they bear or another one.

    The one of number `now` is placed at this moment, those from `under_way` on are not at rest.
    """
    given = {
        "first": numbers[0],
        "last": numbers[-1],
        "now": now,
        "under_way": under_way,
        "every_s": EVERY_S,
        "xid": xid,
        "skus": SKUS,
    }
    async with connection.transaction():
        await connection.execute(_ORDERS, given)
        for statement in _WRITTEN:
            await connection.execute(statement, given)


async def finish(connection: Connection) -> None:
    """Leave the tables as the autovacuum would, and all of it looked at already."""
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("INSERT INTO audit_progress (seen) SELECT pg_current_snapshot()::text")
