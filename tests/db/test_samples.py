"""Samples: the minute that has ended, noted once, and read back with its gaps."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import samples
from db.engine import Database, transaction
from tests.builders import a_placement, place, put_products


async def test_minute_that_ended_is_noted_once(tx: AsyncConnection, database: Database) -> None:
    await put_products(database, APPLE=10)
    ids = await place(database, *(a_placement(("APPLE", 1)) for _ in range(3)))
    paid = text(
        "INSERT INTO order_events (order_id, version, kind, status, data, at)"
        " SELECT id, 2, 'order_paid', 'paid', '{}', created_at - interval '58 s'"
        " FROM orders WHERE id = :id"
    )
    await tx.execute(paid, {"id": ids[0]})
    minute = (await samples.current(tx)).replace(second=0, microsecond=0) - samples.MINUTE
    # What was placed lies in the minute before this one, or, just after its turn, in this one.
    await tx.execute(
        text("UPDATE order_events SET at = :at"), {"at": minute + timedelta(seconds=30)}
    )
    await tx.execute(
        text("UPDATE orders SET created_at = :at"), {"at": minute + timedelta(seconds=28)}
    )

    for _ in range(2):
        await samples.take(tx)
    hour = await samples.history(tx, samples.ORDERS, samples.SETTLE_S, minutes=60)

    assert hour.of(samples.ORDERS, "placed") == [None] * 59 + [3]
    assert hour.of(samples.ORDERS, "paid")[-1] == 1
    assert hour.of(samples.SETTLE_S, "p95")[-1] == pytest.approx(2)
    assert hour.of(samples.ORDERS, "no such outcome") == [None] * 60
    assert hour.names[-1] == f"{minute:%H:%M}"


async def test_depths_are_noted_by_queue_and_state(tx: AsyncConnection, database: Database) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 1)))

    await samples.take(tx)
    hour = await samples.history(tx, samples.DEPTH, minutes=1)

    assert hour.of(samples.DEPTH, "inventory:due") == [1]
    assert hour.of(samples.DEPTH, "inventory:dead") == [0]


async def test_old_samples_go(database: Database) -> None:
    async with transaction(database) as tx:
        await samples.take(tx)
        await tx.execute(text("UPDATE samples SET minute = minute - interval '8 days'"))
        gone = await samples.prune(tx, keep_days=7, limit=10_000)
        left = await tx.scalar(text("SELECT count(*) FROM samples"))

    assert gone > 0
    assert left == 0
