"""Housekeeping: what is done and old goes, and nothing else."""

from functools import partial

import pytest
from sqlalchemy import func, select, text

from db import tables, tasks
from db.engine import Database, transaction
from domain.task import Kind, NewTask, Queue
from tests.builders import a_placement, place, put_products
from tests.stages import LEASE_S, drain_inventory
from workers import claimed, housekeeping
from workers.bell import Bell


async def prune(database: Database, *, batch_max: int = 100) -> None:
    """Have the stage do one pruning, as the clock asks for it."""
    async with transaction(database) as tx:
        await tasks.schedule(tx, NewTask(Kind.PRUNE))
    effect = partial(housekeeping.prune, batch_max=batch_max)
    stage = claimed.Stage(database, Queue.HOUSEKEEPING, effect, 1, LEASE_S)
    await Bell(partial(claimed.drain, stage)).answer()


async def kept(database: Database) -> tuple[list[str], int]:
    """Read the kinds of tasks there are, and count the idempotency keys."""
    async with transaction(database) as tx:
        kinds = await tx.scalars(select(tables.tasks.c.kind).order_by(tables.tasks.c.id))
        keys = await tx.scalar(select(func.count()).select_from(tables.idempotency_keys))
        return list(kinds), keys or 0


async def finished_long_ago(database: Database) -> None:
    """Let more days pass than anything done is kept."""
    async with transaction(database) as tx:
        for past in (
            "UPDATE tasks SET finished_at = now() - interval '8 days' WHERE state = 'done'",
            "UPDATE idempotency_keys SET created_at = now() - interval '4 days'",
        ):
            await tx.execute(text(past))


async def test_old_done_tasks_and_keys_go_and_open_work_stays(database: Database) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 1)))
    await drain_inventory(database)
    await finished_long_ago(database)

    await prune(database)

    assert await kept(database) == (["charge", "prune"], 0)


async def test_what_is_recent_is_kept(database: Database) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 1)))
    await drain_inventory(database)

    await prune(database)

    assert await kept(database) == (["reserve", "charge", "prune"], 1)


async def test_one_pruning_goes_on_until_nothing_old_is_left(database: Database) -> None:
    await put_products(database, APPLE=10)
    await place(database, *(a_placement(("APPLE", 1)) for _ in range(5)))
    await drain_inventory(database)
    await finished_long_ago(database)

    await prune(database, batch_max=2)

    kinds, keys = await kept(database)
    assert "reserve" not in kinds
    assert keys == 0


OF_ACCOUNTS = """
    WITH ann AS (
        INSERT INTO users (id, email, email_folded) VALUES (gen_random_uuid(), 'a@x', 'a@x')
        RETURNING id
    ), past AS (
        SELECT id, now() - make_interval(days => :days) AS at FROM ann
    ), code AS (
        INSERT INTO one_time_codes (id, user_id, purpose, expires_at)
        SELECT gen_random_uuid(), id, 'reset', at FROM past RETURNING id
    ), notice AS (
        INSERT INTO account_notices (id, user_id, kind, recipient, code_id, created_at)
        SELECT gen_random_uuid(), past.id, 'reset_password', 'a@x', code.id, at FROM past, code
    ), session AS (
        INSERT INTO sessions (id, user_id, created_at, expires_at)
        SELECT gen_random_uuid(), id, at - interval '1 d', at FROM past RETURNING id
    ), token AS (
        INSERT INTO refresh_tokens (hash, session_id, expires_at)
        SELECT decode(repeat('ab', 32), 'hex'), session.id, at FROM past, session
    )
    INSERT INTO security_events (user_id, kind, at) SELECT id, 'login', at FROM past
    """
LEFT = """
    WITH ann AS (SELECT id FROM users WHERE email = 'a@x'),
    session AS (SELECT s.id FROM sessions s JOIN ann ON ann.id = s.user_id)
    SELECT (SELECT count(*) FROM one_time_codes) + (SELECT count(*) FROM account_notices)
        + (SELECT count(*) FROM session) + (SELECT count(*) FROM security_events)
        + (SELECT count(*) FROM refresh_tokens JOIN session ON id = session_id),
        (SELECT count(*) FROM ann)
    """


@pytest.mark.parametrize(("days", "left"), [(0, 5), (29, 4), (31, 1), (366, 0)])
async def test_what_happened_to_accounts_long_ago_goes_and_the_accounts_stay(
    database: Database, days: int, left: int
) -> None:
    async with transaction(database) as tx:
        await tx.execute(text(OF_ACCOUNTS), {"days": days})

    await prune(database)

    async with transaction(database) as tx:
        assert (await tx.execute(text(LEFT))).one() == (left, 1)
