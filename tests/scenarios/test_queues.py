"""Queues that people hold: pausing and resuming take effect within a second."""

import time
from functools import partial

from db.engine import Database
from domain.task import Kind, Queue
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.records import at_rest, pause, statuses, work
from tests.scenarios.processes import Surroundings, running
from tests.waiting import eventually
from workers.clock import SWEEP_EVERY_S

# What a busy machine may add to the second of the sweep.
SLACK_S = 2.0


async def test_paused_queue_holds_its_work_and_soon_goes_on_when_resumed(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await put_products(database, APPLE=10)
    await pause(database, Queue.PAYMENTS)
    async with running(surroundings, "worker", "clock"):
        [order_id] = await place(database, a_placement(("APPLE", 1)))

        async def reserved() -> bool:
            return await statuses(database) == {"reserved": 1}

        await eventually(reserved)
        held = await work(database, order_id, Kind.CHARGE)

        began = time.monotonic()
        await pause(database, Queue.PAYMENTS, paused=False)
        await eventually(partial(at_rest, database))
        took_s = time.monotonic() - began

    assert (held.state, held.attempt) == ("ready", 0)
    assert await statuses(database) == {"paid": 1}
    assert bank.verbs() == ["charge"]
    assert took_s < SWEEP_EVERY_S + SLACK_S
