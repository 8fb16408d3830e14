"""What is touched is told by the transaction that changed it, and old tellings go but the last."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import categories, invalidations
from db.categories import Category
from db.engine import Database, transaction
from db.invalidations import CATALOGUE, TAGS_MAX
from tests.db.backends import Admin


async def told(tx: AsyncConnection) -> list[list[str]]:
    found = await tx.execute(text("SELECT tags FROM invalidations ORDER BY id"))
    return [row.tags for row in found]


async def test_tags_are_told_once_each_and_nothing_is_told_of_none(tx: AsyncConnection) -> None:
    await invalidations.touch(tx, ["prices", "variant:B", "prices"])
    await invalidations.touch(tx, [])

    assert await told(tx) == [["prices", "variant:B"]]


async def test_many_tags_are_the_whole_catalogue(tx: AsyncConnection) -> None:
    await invalidations.touch(tx, (f"variant:{n}" for n in range(TAGS_MAX)))
    await invalidations.touch(tx, (f"variant:{n}" for n in range(TAGS_MAX + 1)))

    few, many = await told(tx)
    assert len(few) == TAGS_MAX
    assert many == [CATALOGUE]


async def test_whoever_changes_the_tree_tells(tx: AsyncConnection) -> None:
    await categories.put(tx, Category("cups", "Cups", None, 0, version=0))
    await categories.delete(tx, "cups")

    tree = ["categories", "category:cups"]
    assert await told(tx) == [tree, tree]


async def test_what_is_old_goes_but_for_the_transaction_that_was_last(database: Database) -> None:
    for tag in ("a", "b", "c"):
        async with transaction(database) as tx:
            await invalidations.touch(tx, [tag])
    async with transaction(database) as tx:
        await tx.execute(
            text(
                "UPDATE invalidations SET at = now() - interval '1 h' WHERE id < "
                "(SELECT max(id) FROM invalidations)"
            )
        )

    async with transaction(database) as tx:
        gone = await invalidations.prune(tx)

    async with transaction(database) as tx:
        assert (gone, await told(tx)) == (1, [["b"], ["c"]])


async def test_changes_are_told_by_the_last_transaction_that_touched_each(
    database: Database, admin: Admin
) -> None:
    before = await invalidations.changes(admin, since=0)
    for tags in (["a", "b"], ["b"]):
        async with transaction(database) as tx:
            await invalidations.touch(tx, tags)

    found = await invalidations.changes(admin, since=before.settled)

    assert list(found.touched) == ["a", "b"]
    assert before.settled <= found.touched["a"] < found.touched["b"] < found.settled
    again = await invalidations.changes(admin, since=found.settled)
    assert (again.touched, again.history) == ({}, before.history)


async def test_nothing_is_settled_from_the_oldest_transaction_under_way_on(
    database: Database, admin: Admin
) -> None:
    async with transaction(database) as early:
        await invalidations.touch(early, ["early"])
        async with transaction(database) as late:
            await invalidations.touch(late, ["late"])
        during = await invalidations.changes(admin, since=0)
    after = await invalidations.changes(admin, since=during.settled)

    assert during.touched.keys() == {"late"}
    assert during.settled <= after.touched["early"] < after.touched["late"] < after.settled


async def test_of_more_than_can_be_told_nothing_older_is_trusted(
    database: Database, admin: Admin
) -> None:
    async with transaction(database) as tx:
        await invalidations.touch(tx, ["a", "b", "c"])

    found = await invalidations.changes(admin, since=0, told_max=2)

    assert found.touched == {}
    assert 0 < found.floor < found.settled


async def test_what_was_pruned_is_not_trusted_by_who_asks_for_all(
    database: Database, admin: Admin
) -> None:
    for tag in ("a", "b"):
        async with transaction(database) as tx:
            await invalidations.touch(tx, [tag])
    known = (await invalidations.changes(admin, since=0)).touched
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE invalidations SET at = now() - interval '1 h'"))
        await invalidations.prune(tx)
        await invalidations.touch(tx, ["c"])

    assert (await invalidations.changes(admin, since=0)).floor == known["b"]
