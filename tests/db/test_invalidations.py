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

    assert await told(tx) == [["prices", "variant:B", "variants"]]


async def test_many_tags_are_the_whole_catalogue(tx: AsyncConnection) -> None:
    await invalidations.touch(tx, (f"variant:{n}" for n in range(TAGS_MAX - 1)))
    await invalidations.touch(tx, (f"variant:{n}" for n in range(TAGS_MAX)))

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


async def test_each_change_is_told_once_with_the_transaction_that_made_it(
    database: Database, admin: Admin
) -> None:
    before = await invalidations.changes(admin, since=None)
    for tags in (["a", "b"], ["b"]):
        async with transaction(database) as tx:
            await invalidations.touch(tx, tags)

    found = await invalidations.changes(admin, since=before.seen)

    [first], second = found.touched["a"], found.touched["b"]
    assert len(second) == 2
    assert second[0] == first < second[1]
    assert all(found.seen.sees(xid) and not before.seen.sees(xid) for xid in second)
    again = await invalidations.changes(admin, since=found.seen)
    assert (again.touched, again.history) == ({}, before.history)


async def test_what_began_first_and_ended_last_is_told_when_it_ends(
    database: Database, admin: Admin
) -> None:
    async with transaction(database) as early:
        await invalidations.touch(early, ["early"])
        async with transaction(database) as late:
            await invalidations.touch(late, ["late"])
        during = await invalidations.changes(admin, since=None)
    after = await invalidations.changes(admin, since=during.seen)

    assert (during.touched.keys(), after.touched.keys()) == ({"late"}, {"early"})
    [xid] = after.touched["early"]
    assert not during.seen.sees(xid)


async def test_of_more_than_can_be_told_nothing_older_is_trusted(
    database: Database, admin: Admin
) -> None:
    async with transaction(database) as tx:
        await invalidations.touch(tx, ["a", "b", "c"])
        [xid] = (await tx.execute(text("SELECT xid FROM invalidations"))).scalars()

    found = await invalidations.changes(admin, since=None, told_max=2)

    assert (found.touched, found.floor) == ({}, xid)


async def test_what_was_pruned_is_not_trusted_by_who_asks_for_all(
    database: Database, admin: Admin
) -> None:
    for tag in ("a", "b"):
        async with transaction(database) as tx:
            await invalidations.touch(tx, [tag])
    known = (await invalidations.changes(admin, since=None)).touched
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE invalidations SET at = now() - interval '1 h'"))
        await invalidations.prune(tx)
        await invalidations.touch(tx, ["c"])

    assert [(await invalidations.changes(admin, since=None)).floor] == known["b"]
