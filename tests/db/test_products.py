"""Products and the categories they are in: neither goes from under the other."""

import asyncio

import pytest

from db import categories, products, variants
from db.categories import Category
from db.engine import Database, transaction
from domain.catalogue import CategoryInUse
from domain.product import VARIANTS_MAX, ProductContent, TooManyVariants
from tests.builders import a_product
from tests.db.backends import Admin, until_blocked


async def test_category_in_which_a_product_is_just_being_put_is_not_deleted(
    database: Database, admin: Admin
) -> None:
    async with transaction(database) as tx:
        await categories.put(tx, Category("kitchen", "Kitchen", None, 0, version=0))

    async def delete() -> None:
        async with transaction(database) as tx:
            await categories.delete(tx, "kitchen")

    async with transaction(database) as tx:
        await products.put(tx, "board", ProductContent(name="Board", category="kitchen"))
        deleting = asyncio.create_task(delete())
        await until_blocked(admin)

    with pytest.raises(CategoryInUse):
        await deleting


async def test_product_has_so_many_variants_at_most_whoever_adds_the_last(
    database: Database,
) -> None:
    async with transaction(database) as tx:
        await products.put(tx, "board", ProductContent(name="Board"))
        for n in range(VARIANTS_MAX - 1):
            await variants.put(tx, a_product(f"B-{n}", product="board"))

    async def add(sku: str) -> str:
        async with transaction(database) as tx:
            return (await variants.put(tx, a_product(sku, product="board"))).sku

    added = await asyncio.gather(add("LAST"), add("TOO-MANY"), return_exceptions=True)
    async with transaction(database) as tx:
        kept = await variants.put(tx, a_product("B-0", product="board", price_minor=1))

    assert sum(isinstance(each, TooManyVariants) for each in added) == 1
    assert kept.version == 2
