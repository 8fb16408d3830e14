"""The wiring of a worker process: an actor for each queue with work, and an orderly end."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

import dramatiq
import pytest
import redis.asyncio

from db.engine import Database, transaction
from domain.task import QUEUE_OF, Queue
from ops.config import Settings
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.postbox import Postbox
from tests.records import statuses
from tests.waiting import eventually
from workers.fleet import build


@pytest.fixture
def broker(
    settings: Settings,
    database: Database,
    valkey: "redis.asyncio.Redis",
    bank: Bank,
    postbox: Postbox,
) -> dramatiq.Broker:
    del database, valkey
    return build(settings, gateways=[bank], mailer=postbox)


@pytest.fixture
async def booted(broker: dramatiq.Broker) -> AsyncGenerator[dramatiq.Broker]:
    """One in a process that has booted, which consumes nothing."""
    broker.emit_before("worker_boot", None)
    yield broker
    await asyncio.to_thread(broker.emit_after, "worker_shutdown", None)


async def answer(broker: dramatiq.Broker, queue: Queue) -> None:
    """Do what a worker does on a ring."""
    await asyncio.to_thread(broker.get_actor(queue).fn)


async def test_every_queue_with_work_has_an_actor_of_its_name(broker: dramatiq.Broker) -> None:
    assert broker.get_declared_actors() == broker.get_declared_queues() == set(QUEUE_OF.values())


async def test_stage_that_is_done_rings_the_next_one(
    booted: dramatiq.Broker, database: Database, valkey: "redis.asyncio.Redis"
) -> None:
    await put_products(database, APPLE=10)
    await place(database, a_placement(("APPLE", 1)))

    await answer(booted, Queue.INVENTORY)

    async def rung() -> bool:
        return await valkey.llen("dramatiq:payments") == 1

    await eventually(rung)
    assert await statuses(database) == {"reserved": 1}


async def test_process_that_ends_gives_back_what_it_used(
    broker: dramatiq.Broker, database: Database, bank: Bank, postbox: Postbox
) -> None:
    broker.emit_before("worker_boot", None)
    await answer(broker, Queue.INVENTORY)
    connected = await connections(database)

    await asyncio.to_thread(broker.emit_after, "worker_shutdown", None)

    assert connected >= 1
    assert bank.closed
    assert postbox.closed
    await eventually(partial(disconnected, database))


async def connections(database: Database) -> int:
    """Count the connections of workers."""
    async with transaction(database) as tx:
        found = await tx.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'orderflow worker' AND datname = current_database()"
        )
        return found.scalar_one()


async def disconnected(database: Database) -> bool:
    return await connections(database) == 0
