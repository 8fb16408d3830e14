"""What is touched is told by the transaction that changed it, and old tellings go but the last."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import categories, invalidations, variants
from db.categories import Category
from db.engine import Database, transaction
from db.invalidations import CATALOGUE, TAGS_MAX
from domain.variant import Variant


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


async def test_whoever_changes_the_catalogue_tells(tx: AsyncConnection) -> None:
    await variants.put(tx, Variant("CUP", "Cup", 100, "EUR", active=True, version=0))
    await categories.put(tx, Category("cups", "Cups", None, 0, version=0))
    await categories.delete(tx, "cups")

    tree = ["categories", "category:cups"]
    assert await told(tx) == [["variant:CUP"], tree, tree]


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
