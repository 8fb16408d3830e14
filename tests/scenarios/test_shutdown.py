"""A worker that is told to stop ends what it has under way, or hands it back, and exits well."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from signal import SIGTERM

import msgspec

from db.engine import Database
from domain.task import Queue
from ops.local.child import Child
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.ops.local.hearing import Hearing
from tests.records import assert_sound, at_rest, limit, make_due, statuses
from tests.scenarios.processes import Surroundings, program, running
from tests.waiting import eventually

ORDERS = 10
AT_ONCE = 5
# Dramatiq looks once a second whether it is to stop, in the process and in each of its threads.
DRAMATIQ_STOPS_WITHIN_S = 5


@asynccontextmanager
async def a_worker(
    surroundings: Surroundings, heard: Hearing
) -> AsyncGenerator[tuple[Child, asyncio.Task[int]]]:
    """Run a worker once; gives it and its exit code to be."""
    child = Child(program("worker", surroundings), heard)
    ended = asyncio.create_task(child.run())
    try:
        yield child, ended
    finally:
        await child.kill()
        await ended


async def placed(database: Database) -> None:
    await put_products(database, APPLE=100)
    await place(database, *(a_placement(("APPLE", 1)) for _ in range(ORDERS)))
    await limit(database, Queue.PAYMENTS, AT_ONCE)


async def test_worker_told_to_stop_ends_the_calls_it_has_under_way_and_begins_no_other(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    heard = Hearing()
    await placed(database)
    bank.exit.shut()
    async with running(surroundings, "clock"), a_worker(surroundings, heard) as (worker, ended):
        await bank.exit.until_waiting(AT_ONCE)
        worker.signal(SIGTERM)
        await heard.until("Shutting down")
        await bank.exit.open()
        assert await ended == 0

    assert await statuses(database) == {"paid": AT_ONCE, "reserved": ORDERS - AT_ONCE}
    assert bank.verbs() == ["charge"] * AT_ONCE
    await assert_sound(database)


async def test_worker_told_to_stop_hands_back_what_does_not_end_within_the_grace(
    database: Database, surroundings: Surroundings, bank: Bank
) -> None:
    await placed(database)
    short = msgspec.structs.replace(
        surroundings.settings, gateway_timeout_s=1.0, task_timeout_s=2.0, shutdown_grace_s=6
    )
    hasty = msgspec.structs.replace(surroundings, settings=short)
    bank.exit.shut()
    async with running(hasty, "clock"), a_worker(hasty, Hearing()) as (worker, ended):
        await bank.exit.until_waiting(AT_ONCE)
        worker.signal(SIGTERM)
        told_at = time.monotonic()
        assert await ended == 0
        took_s = time.monotonic() - told_at
    assert took_s < short.shutdown_grace_s + DRAMATIQ_STOPS_WITHIN_S
    assert await statuses(database) == {"reserved": ORDERS}

    await bank.exit.open()
    await make_due(database)
    async with running(surroundings, "worker", "clock"):
        await eventually(partial(at_rest, database))

    assert await statuses(database) == {"paid": ORDERS}
    assert bank.verbs().count("charge") == ORDERS
    await assert_sound(database)
