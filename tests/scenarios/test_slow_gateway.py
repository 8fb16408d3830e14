"""A slow gateway delays those who wait for it, and nobody else."""

from functools import partial

from db.engine import Database
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.records import at_rest, statuses
from tests.scenarios.processes import Surroundings, running
from tests.waiting import eventually


async def test_slow_calls_hold_up_neither_other_payments_nor_reservations(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=100)
    slow = await place(database, *(a_placement(("APPLE", 1)) for _ in range(5)))
    bank.entrance.shut(*slow)
    async with running(surroundings, "worker", "clock"):
        await bank.entrance.until_waiting(len(slow))

        await place(database, *(a_placement(("APPLE", 1)) for _ in range(10)))
        await eventually(partial(reached, database, {"reserved": 5, "paid": 10}))

        bank.entrance.shut()
        await place(database, *(a_placement(("APPLE", 1)) for _ in range(20)))
        await eventually(partial(reached, database, {"reserved": 25, "paid": 10}))

        await bank.entrance.open()
        await eventually(partial(at_rest, database))

    assert await statuses(database) == {"paid": 35}
    assert bank.verbs() == ["charge"] * 35


async def reached(database: Database, wanted: dict[str, int]) -> bool:
    return await statuses(database) == wanted
