"""Work in all states beside a past: what the pages of the dashboard have to find and to count."""

from ops.bench.books import Connection

# Of so many orders of the past one has a task of this; a million have 200,000.
ORDERS_PER_TASK = 5
MINUTES = 60
# What gateways have not said yet, and what is for a person to decide of it.
UNKNOWN, REVIEW = 1000, 200
AUDITED, MOVED, FOUND = 50_000, 200, 300
# Lines of one SKU: more than its page looks at.
HOT = 30_000

_TASKS = """
    INSERT INTO tasks (queue, kind, order_id, state, attempt, attempts_max, run_at, lease_until,
                       last_error, created_at, finished_at)
    SELECT queue, kind, id, state, 3, 60,
           now() + make_interval(secs => CASE WHEN n %% 20 IN (2, 3) THEN n %% 3600
                                         ELSE -(n %% 3600) END),
           CASE state WHEN 'running' THEN now() + interval '1 hour' END,
           CASE WHEN state IN ('dead', 'cancelled') THEN (ARRAY[
               'The relay refused: 550 no mailbox of customer ' || n,
               'The relay did not answer: TimeoutError after ' || n %% 30 || ' s',
               'The connection to 10.0.0.' || n %% 250 || ':25 was lost',
               'KeyError: ''sku''', 'The gateway refused: card_declined, request req_' || n,
               'The gateway did not answer: ClientOSError', 'ValueError: order ' || id,
               'The worker was lost: its lease ran out.'])[1 + n %% 8] END,
           created_at, CASE WHEN state IN ('done', 'dead', 'cancelled')
                       THEN now() - make_interval(secs => n %% 3600) END
    FROM (SELECT id, created_at, row_number() OVER (ORDER BY id) AS n
          FROM (SELECT id, created_at FROM orders WHERE status = 'paid'
                ORDER BY id DESC LIMIT %(tasks)s) AS newest) AS o
    CROSS JOIN LATERAL (
        SELECT CASE WHEN n %% 20 = 0 THEN 'dead' WHEN n %% 20 = 1 THEN 'cancelled'
               WHEN n %% 20 IN (2, 3, 4) THEN 'ready' WHEN n %% 200 = 5 THEN 'running'
               ELSE 'done' END AS state,
               (ARRAY['notify', 'refund', 'capture'])[1 + n %% 3] AS kind,
               (ARRAY['notifications', 'payments', 'payments'])[1 + n %% 3] AS queue) AS t
    """
# One that is in each of the newest orders.
_HOT = (
    """
    INSERT INTO variants (sku, name, price_minor, currency)
    VALUES ('SKU-HOT', 'Everybody''s', 1000, 'GBP')
    """,
    "INSERT INTO stock (sku, on_hand) VALUES ('SKU-HOT', 1000000)",
    """
    CREATE TEMP TABLE hot ON COMMIT DROP AS
    SELECT id AS order_id, sku FROM (
        SELECT id FROM orders WHERE status = 'paid' ORDER BY id DESC LIMIT %(hot)s) AS newest
    JOIN order_lines ON order_id = id AND line = 1
    """,
    """
    UPDATE reservations r SET sku = 'SKU-HOT' FROM hot
    WHERE r.order_id = hot.order_id AND r.sku = hot.sku
    """,
    """
    UPDATE order_lines l SET sku = 'SKU-HOT' FROM hot
    WHERE l.order_id = hot.order_id AND line = 1
    """,
)
_UNKNOWN = """
    INSERT INTO payment_attempts (id, order_id, kind, state, amount_minor, currency, gateway, error,
                                  sent_at)
    SELECT md5(id::text)::uuid, id, 'charge', 'unknown', 2000, 'GBP', 'stripe',
           'The gateway did not answer: TimeoutError.', now() - interval '5 minutes'
    FROM orders WHERE status = 'reserved' ORDER BY id DESC LIMIT %(unknown)s
    """
_REVIEW = """
    WITH moved AS (
        UPDATE orders SET status = 'review', version = 3 WHERE id IN (
            SELECT order_id FROM payment_attempts WHERE state = 'unknown'
            ORDER BY order_id LIMIT %(review)s)
        RETURNING id
    )
    INSERT INTO order_events (order_id, version, kind, status, data)
    SELECT id, 3, 'payment_in_review', 'review', '{}' FROM moved
    """
_SAMPLES = """
    INSERT INTO samples (minute, name, label, value)
    SELECT date_trunc('minute', now()) - make_interval(mins => m), name, label, 10 + m %% 7
    FROM generate_series(0, %(minutes)s) AS m, (
        SELECT 'orders', unnest(ARRAY['placed', 'paid', 'declined', 'cancelled', 'review'])
        UNION ALL SELECT 'settle_s', unnest(ARRAY['p50', 'p95'])
        UNION ALL SELECT 'oldest_due_s', name FROM queues
        UNION ALL SELECT 'depth', name || ':' || state
                  FROM queues, unnest(ARRAY['due', 'later', 'running', 'dead']) AS state
    ) AS series (name, label)
    """
_AUDIT_LOG = """
    INSERT INTO audit_log (at, actor_kind, action, target_kind, target, before, after)
    SELECT now() - make_interval(mins => %(audited)s - n), 'staff', 'queue.put', 'queue',
           'payments', '{"paused": true}', '{"paused": false}'
    FROM generate_series(1, %(audited)s) AS n
    """
_MOVEMENTS = """
    INSERT INTO stock_movements (sku, version, at, cause, on_hand_delta, on_hand, note)
    SELECT 'SKU-HOT', n, now() - make_interval(hours => %(moved)s - n), 'count', 1, 1000000,
           'Counted.' FROM generate_series(1, %(moved)s) AS n
    """
_FINDINGS = """
    INSERT INTO findings (kind, subject, detail, opened_at, closed_at)
    SELECT 'books_differ', 'pi_' || n, 'It is not in the books of the gateway.', now(),
           CASE WHEN n %% 3 > 0 THEN now() END FROM generate_series(1, %(found)s) AS n
    """
# All waits, as in an outage; otherwise the worker would do what pages are to count.
_HELD = "UPDATE queues SET paused = true"

_LATER = "UPDATE tasks SET run_at = now() + interval '1 day' WHERE state = 'ready'"
_FREE = "UPDATE queues SET paused = name = 'reconciliation'"


async def pile_up(connection: Connection, *, orders: int) -> None:
    """Write the work of a past of so many orders, on the connection that wrote them; all waits."""
    given = {
        "tasks": orders // ORDERS_PER_TASK,
        "unknown": UNKNOWN,
        "review": REVIEW,
        "minutes": MINUTES,
        "audited": AUDITED,
        "moved": MOVED,
        "found": FOUND,
        "hot": HOT,
    }
    async with connection.transaction():
        for statement in (*_HOT, _TASKS, _UNKNOWN, _REVIEW, _SAMPLES):
            await connection.execute(statement, given)
        for statement in (_AUDIT_LOG, _MOVEMENTS, _FINDINGS):
            await connection.execute(statement, given)
        await connection.execute(_HELD)


async def put_off(connection: Connection) -> None:
    """Have nothing due but what comes from now on, and workers at it."""
    async with connection.transaction():
        await connection.execute(_LATER)
        await connection.execute(_FREE)
