"""A tree stays a tree, and a move writes one row, whatever is below it."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import categories
from db.categories import Category
from db.engine import Database, transaction
from domain.catalogue import DEPTH_MAX, CategoryInUse, CategoryMisplaced


async def put(
    tx: AsyncConnection, slug: str, parent: str | None = None, *, rank: int = 0
) -> Category:
    return await categories.put(tx, Category(slug, slug.title(), parent, rank, version=0))


async def shape(tx: AsyncConnection) -> list[tuple[str, str | None]]:
    return [(each.slug, each.parent) for each in await categories.page(tx)]


async def test_tree_is_read_with_parents_first_and_siblings_in_order_of_rank(
    tx: AsyncConnection,
) -> None:
    for slug, parent, rank in (
        ("home", None, 2),
        ("garden", None, 1),
        ("pots", "home", 9),
        ("pans", "home", 1),
        ("woks", "pans", 0),
    ):
        await put(tx, slug, parent, rank=rank)

    found = await shape(tx)

    assert found == [
        ("garden", None),
        ("home", None),
        ("pans", "home"),
        ("woks", "pans"),
        ("pots", "home"),
    ]


async def test_move_takes_along_all_that_is_below_and_writes_none_of_it(
    tx: AsyncConnection,
) -> None:
    for slug, parent in (("home", None), ("old", None), ("pans", "old"), ("woks", "pans")):
        await put(tx, slug, parent)
    query = text("SELECT slug, xmin::text, ctid::text FROM categories WHERE slug <> 'pans'")
    before = (await tx.execute(query)).all()

    moved = await put(tx, "pans", "home")

    assert (moved.parent, moved.version) == ("home", 2)
    assert await shape(tx) == [("home", None), ("pans", "home"), ("woks", "pans"), ("old", None)]
    assert (await tx.execute(query)).all() == before
    assert len(await categories.below(tx, "home")) == 3


@pytest.mark.parametrize("parent", ["home", "pans", "woks"])
async def test_category_is_never_below_itself(tx: AsyncConnection, parent: str) -> None:
    for slug, above in (("home", None), ("pans", "home"), ("woks", "pans")):
        await put(tx, slug, above)

    with pytest.raises(CategoryMisplaced, match="below itself") as refused:
        await put(tx, "home", parent)

    assert refused.value.field == "parent"


async def test_two_moves_at_once_make_no_ring(database: Database) -> None:
    async with transaction(database) as tx:
        await put(tx, "left")
        await put(tx, "right")

    async def move(slug: str, parent: str) -> bool:
        try:
            async with transaction(database) as tx:
                await put(tx, slug, parent)
        except CategoryMisplaced:
            return False
        return True

    moved = await asyncio.gather(move("left", "right"), move("right", "left"))

    async with transaction(database) as tx:
        assert len(await categories.page(tx)) == 2
    assert sorted(moved) == [False, True]


async def test_tree_is_so_deep_and_no_deeper(tx: AsyncConnection) -> None:
    parent = None
    for level in range(DEPTH_MAX):
        parent = (await put(tx, f"level-{level}", parent)).slug
    await put(tx, "other")
    await put(tx, "child", "other")

    with pytest.raises(CategoryMisplaced, match="deep at most"):
        await put(tx, "deepest", parent)
    with pytest.raises(CategoryMisplaced, match="deep at most"):
        await put(tx, "other", f"level-{DEPTH_MAX - 2}")

    assert (await put(tx, "child", f"level-{DEPTH_MAX - 2}")).parent == f"level-{DEPTH_MAX - 2}"


async def test_parent_has_to_be_there(tx: AsyncConnection) -> None:
    await put(tx, "gone")
    await categories.delete(tx, "gone")

    for parent in ("nowhere", "gone"):
        with pytest.raises(CategoryMisplaced, match=f"no category {parent}"):
            await put(tx, "pans", parent)


async def test_category_is_deleted_once_nothing_is_in_it(tx: AsyncConnection) -> None:
    await put(tx, "home")
    await put(tx, "pans", "home")

    with pytest.raises(CategoryInUse, match="still in home"):
        await categories.delete(tx, "home")
    gone = [await categories.delete(tx, slug) for slug in ("pans", "pans", "home", "nowhere")]

    assert [each and each.slug for each in gone] == ["pans", None, "home", None]
    assert await shape(tx) == []
    assert await categories.find(tx, "home") is None


async def test_category_that_was_deleted_comes_back_with_its_version_counted_on(
    tx: AsyncConnection,
) -> None:
    await put(tx, "home")
    await categories.delete(tx, "home")

    again = await put(tx, "home")

    assert again.version == 3
    assert await categories.find(tx, "home") == again
