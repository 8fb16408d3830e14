"""Caches as tests see them: several processes of one, over a table that a price stands in."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import invalidations
from db.cache import Cache, Kind, Read
from db.engine import Database, transaction
from ops.config import Settings

PRICE = Kind("price", int, 300.0)
TAG = "variant:CUP"


class Clock:
    """A clock that stands unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Process:
    """The cache of one process, and how often it read the price from Postgres."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.cache = Cache(settings, clock=clock)
        # As in a process whose commits tell its own cache.
        self.database = msgspec.structs.replace(database, forget=self.cache.forget)
        self.readings = 0
        self.has_read = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def price(self, *, fresh_s: float = 1e9) -> int | None:
        async def load() -> Read[int]:
            self.readings += 1
            async with transaction(self.database) as tx:
                value = await tx.scalar(text("SELECT price_minor FROM variants"))
            self.has_read.set()
            await self.may_go_on.wait()
            return Read(value, frozenset({TAG}), fresh_s)

        return await self.cache.get(PRICE, "CUP", load)

    async def set_price(self, minor: int) -> None:
        async with transaction(self.database) as tx:
            await write_price(tx, minor)


async def write_price(tx: AsyncConnection, minor: int) -> None:
    await tx.execute(
        text(
            "INSERT INTO variants (sku, name, price_minor, currency)"
            " VALUES ('CUP', 'Cup', :minor, 'EUR')"
            " ON CONFLICT (sku) DO UPDATE SET price_minor = :minor"
        ),
        {"minor": minor},
    )
    await invalidations.touch(tx, [TAG])


@asynccontextmanager
async def processes(
    settings: Settings, database: Database, clock: Clock, count: int
) -> AsyncGenerator[list[Process]]:
    """Make processes that share Postgres, Redis and the clock, and close them."""
    made = [Process(settings, database, clock) for _ in range(count)]
    yield made
    for each in made:
        await each.cache.close()
