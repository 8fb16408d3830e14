import asyncio

from db.engine import Database, transaction
from ops.storm.watch import Watch
from tests.builders import put_products
from tests.waiting import eventually


async def test_what_was_broken_for_a_moment_is_seen_and_kept_once(
    database: Database, database_url: str
) -> None:
    await put_products(database, TEA=10)
    async with transaction(database) as tx:
        await tx.exec_driver_sql("UPDATE stock SET reserved = 3")
    watch = Watch(database_url)

    async def looked_twice() -> bool:
        return watch.looks > 1

    watching = asyncio.create_task(watch.keep())
    try:
        await eventually(looked_twice)
    finally:
        watching.cancel()
        await asyncio.wait({watching})

    (broken,) = watch.broken
    assert (broken.invariant, broken.subject) == ("S1 reserved stock is what orders hold", "TEA")
    assert broken.detail == "3 reserved, orders hold 0 (after 0 s)"


async def test_database_that_is_away_breaks_no_promise() -> None:
    watch = Watch("postgresql://nobody@127.0.0.1:1/nothing")

    watching = asyncio.create_task(watch.keep())
    done, _ = await asyncio.wait({watching}, timeout=0.5)
    watching.cancel()
    await asyncio.wait({watching})

    assert done == set()
    assert (watch.looks, watch.broken) == (0, [])
