"""Processes that report themselves: the living, the lost, and one that is asked to stop."""

from functools import partial

from db import processes
from db.engine import Database, transaction
from db.processes import ProcessView
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.records import assert_sound, at_rest, statuses
from tests.scenarios.processes import Surroundings, running
from tests.waiting import eventually


async def found(database: Database, kind: str) -> list[ProcessView]:
    async with transaction(database) as tx:
        return [one for one in await processes.page(tx) if one.kind == kind]


async def test_worker_that_is_asked_to_stop_ends_its_call_and_another_takes_its_place(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=10)
    bank.exit.shut()
    async with running(surroundings, "worker", "clock"):
        await place(database, a_placement(("APPLE", 1)))
        await bank.exit.until_waiting(1)

        async def charging() -> list[ProcessView]:
            return [one for one in await found(database, "worker") if one.running]

        [worker] = await eventually(charging)
        async with transaction(database) as tx:
            await processes.ask_to_stop(tx, worker.id, by=None)
        await bank.exit.open()

        async def replaced() -> bool:
            return [one.id for one in await found(database, "worker")] not in ([worker.id], [])

        await eventually(replaced)
        await eventually(partial(at_rest, database))
        assert await found(database, "clock")

    assert worker.running[0].what == "charge"
    assert await statuses(database) == {"paid": 1}
    assert bank.verbs() == ["charge"]
    await assert_sound(database)
