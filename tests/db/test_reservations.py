"""Stock is what its orders do to it, whatever runs at once, and never below zero."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db import reservations, stock
from db.engine import Database, transaction
from db.stock import StockLevel
from domain.saga import COMMIT, HOLD, RELEASE, RESTOCK, StockEffect
from domain.stock import StockBelowReserved, Supply, Wanted
from tests.builders import a_placement, place, put_product, put_products
from tests.db.backends import Admin, in_transaction, until_blocked

SKUS = ("APPLE", "FIG", "KIWI", "PEAR", "PLUM")
MANY = ("APPLE", "CHERRY", "FIG", "KIWI", "MELON", "NUT", "PEAR", "PLUM", "QUINCE")


async def _levels(tx: AsyncConnection) -> dict[str, tuple[int, int]]:
    rows = await tx.execute(text("SELECT sku, on_hand, reserved FROM stock ORDER BY sku"))
    return {sku: (on_hand, reserved) for sku, on_hand, reserved in rows}


async def _reservations(tx: AsyncConnection, order_id: UUID) -> dict[str, tuple[int, str]]:
    rows = await tx.execute(
        text("SELECT sku, quantity, state FROM reservations WHERE order_id = :id ORDER BY sku"),
        {"id": order_id},
    )
    return {sku: (quantity, state) for sku, quantity, state in rows}


@pytest.mark.parametrize(
    ("effects", "level", "state"),
    [
        ([HOLD], (10, 3), "held"),
        ([HOLD, COMMIT], (7, 0), "committed"),
        ([HOLD, RELEASE], (10, 0), "released"),
        ([HOLD, COMMIT, RESTOCK], (10, 0), "released"),
    ],
)
async def test_effects_of_an_order_add_up(
    tx: AsyncConnection,
    database: Database,
    effects: Sequence[StockEffect],
    level: tuple[int, int],
    state: str,
) -> None:
    await put_products(database, APPLE=10, PEAR=10)
    [order_id] = await place(database, a_placement(("APPLE", 3)))

    for effect in effects:
        await reservations.apply(tx, [(order_id, effect)])

    assert await _levels(tx) == {"APPLE": level, "PEAR": (10, 0)}
    assert await _reservations(tx, order_id) == {"APPLE": (3, state)}


async def test_effects_of_a_group_are_summed_by_sku(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10, PEAR=10)
    one, two, three = await place(
        database,
        a_placement(("APPLE", 1), ("PEAR", 2)),
        a_placement(("APPLE", 4)),
        a_placement(("PEAR", 3)),
    )
    await reservations.apply(tx, [(one, HOLD), (three, HOLD)])

    await reservations.apply(tx, [(one, COMMIT), (two, HOLD), (three, RELEASE)])

    assert await _levels(tx) == {"APPLE": (9, 4), "PEAR": (8, 0)}
    assert await _reservations(tx, one) == {"APPLE": (1, "committed"), "PEAR": (2, "committed")}


async def test_no_effects_touch_nothing(tx: AsyncConnection, database: Database) -> None:
    await put_products(database, APPLE=10)

    await reservations.apply(tx, [])

    assert await stock.find(tx, "APPLE") == StockLevel("APPLE", 10, 0, 1)


async def _deadlocks(tx: AsyncConnection) -> int:
    await tx.execute(text("SELECT pg_stat_force_next_flush()"))
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    return (await tx.execute(text(query))).scalar_one()


async def test_groups_over_the_same_skus_in_any_order_never_deadlock(database: Database) -> None:
    await put_products(database, **dict.fromkeys(SKUS, 1000))
    shuffled = random.Random(7)  # noqa: S311 - a seed, so that it is the same every time
    carts = [shuffled.sample(SKUS, 3) for _ in range(40)]
    ids = await place(database, *(a_placement(*((sku, 1) for sku in cart)) for cart in carts))
    async with transaction(database) as tx:
        before = await _deadlocks(tx)

    async def follow(group: Sequence[UUID]) -> None:
        for effect in (HOLD, COMMIT, RESTOCK):
            async with transaction(database) as tx:
                await reservations.apply(tx, [(order_id, effect) for order_id in group])

    await asyncio.gather(*(follow(ids[n : n + 5]) for n in range(0, 40, 5)))

    async with transaction(database) as tx:
        assert await _deadlocks(tx) == before
        assert await _levels(tx) == dict.fromkeys(SKUS, (1000, 0))


async def _lock(tx: AsyncConnection, order_id: UUID) -> None:
    del order_id
    await reservations.lock(tx, MANY[::-1])


async def _hold(tx: AsyncConnection, order_id: UUID) -> None:
    await reservations.apply(tx, [(order_id, HOLD)])


@pytest.mark.parametrize("use", [_lock, _hold])
async def test_stock_is_locked_in_the_order_of_its_skus(
    database: Database, admin: Admin, use: Callable[[AsyncConnection, UUID], Awaitable[None]]
) -> None:
    await put_products(database, **dict.fromkeys(MANY, 10))
    [order_id] = await place(database, a_placement(*((sku, 1) for sku in MANY[::-1])))

    async with transaction(database) as holder:
        await reservations.lock(holder, [MANY[4]])
        using = asyncio.create_task(in_transaction(database, lambda tx: use(tx, order_id)))
        await until_blocked(admin)
        async with transaction(database) as tx:
            free = text("SELECT sku FROM stock ORDER BY sku FOR NO KEY UPDATE SKIP LOCKED")
            left = list(await tx.scalars(free))

    assert left == list(MANY[5:])
    await using


async def test_what_is_for_sale_is_read_after_the_wait_for_the_lock(
    database: Database, admin: Admin
) -> None:
    await put_products(database, APPLE=10, PEAR=10)
    [order_id] = await place(database, a_placement(("APPLE", 3), ("PEAR", 1)))

    async def lock() -> dict[str, Supply]:
        async with transaction(database) as tx:
            return await reservations.lock(tx, ["PEAR", "APPLE", "NOPE"])

    async with transaction(database) as first:
        await reservations.apply(first, [(order_id, HOLD)])
        second = asyncio.create_task(lock())
        await until_blocked(admin)

    assert await second == {"APPLE": Supply(7), "PEAR": Supply(9)}


async def test_wanted_is_read_in_the_order_asked_for(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=1, PEAR=1)
    one, two = await place(
        database, a_placement(("PEAR", 2), ("APPLE", 1)), a_placement(("APPLE", 5))
    )

    found = await reservations.wanted(tx, [two, one])

    assert found == [Wanted(two, {"APPLE": 5}), Wanted(one, {"PEAR": 2, "APPLE": 1})]
    assert list(found[1].quantities) == ["PEAR", "APPLE"]


@pytest.mark.parametrize(
    "corruption",
    [
        "UPDATE stock SET reserved = on_hand + 1",
        "UPDATE stock SET reserved = -1",
        "UPDATE stock SET on_hand = -1",
        "UPDATE reservations SET quantity = 0",
        "UPDATE reservations SET state = 'eaten'",
    ],
)
async def test_stock_that_cannot_be_is_refused_by_the_table(
    tx: AsyncConnection, database: Database, corruption: str
) -> None:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 3)))
    await reservations.apply(tx, [(order_id, HOLD)])

    with pytest.raises(Exception, match="violates check constraint"):
        await tx.execute(text(corruption))


async def test_put_sets_what_is_on_hand_and_counts_the_version(tx: AsyncConnection) -> None:
    await put_product(tx, "APPLE", on_hand=5)

    assert await stock.find(tx, "APPLE") == StockLevel("APPLE", 5, 0, 1)
    assert await stock.put(tx, "APPLE", 0) == StockLevel("APPLE", 0, 0, 2)
    assert await stock.find(tx, "NOPE") is None


async def test_put_below_what_orders_hold_is_refused_and_changes_nothing(
    tx: AsyncConnection, database: Database
) -> None:
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 3)))
    await reservations.apply(tx, [(order_id, HOLD)])

    with pytest.raises(StockBelowReserved, match="2 of APPLE would be on hand, and orders hold 3"):
        await stock.put(tx, "APPLE", 2)

    assert await stock.find(tx, "APPLE") == StockLevel("APPLE", 10, 3, 2)
    assert await stock.put(tx, "APPLE", 3) == StockLevel("APPLE", 3, 3, 3)
