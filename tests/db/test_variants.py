"""The catalogue: what is put is what is read, and each change has a version."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncConnection

from db import variants
from db.engine import Database, transaction
from domain.variant import Variant
from tests.builders import a_product


async def test_new_product_has_version_one(tx: AsyncConnection) -> None:
    stored = await variants.put(tx, a_product("APPLE", price_minor=30))

    assert stored == Variant("APPLE", "Product APPLE", 30, "GBP", active=True, version=1)
    assert await variants.find(tx, "APPLE") == stored


async def test_product_put_again_is_replaced_and_has_the_next_version(tx: AsyncConnection) -> None:
    await variants.put(tx, a_product("APPLE"))

    changed = Variant("APPLE", "Pomme", 40, "EUR", active=False, version=77)
    stored = await variants.put(tx, changed)

    assert stored == Variant("APPLE", "Pomme", 40, "EUR", active=False, version=2)
    assert await variants.find(tx, "APPLE") == stored


async def test_puts_at_once_are_counted_one_by_one(database: Database) -> None:
    async def put() -> int:
        async with transaction(database) as tx:
            return (await variants.put(tx, a_product("APPLE"))).version

    assert sorted(await asyncio.gather(*(put() for _ in range(6)))) == [1, 2, 3, 4, 5, 6]
