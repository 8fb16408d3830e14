"""A ring is a hint: lost, doubled or forged ones change nothing about what gets done."""

from functools import partial
from typing import Any

import dramatiq
import pytest
import redis.asyncio

from db.doorbell import Doorbell, WakingBroker, broker
from db.engine import Database
from domain.task import Queue
from ops.config import Settings
from tests.bank import Bank
from tests.builders import a_placement, place, put_products
from tests.postbox import Postbox
from tests.records import assert_sound, at_rest, statuses
from tests.scenarios.processes import Surroundings, running
from tests.waiting import eventually

ORDERS = 5


@pytest.fixture
def sender(settings: Settings) -> WakingBroker:
    """A broker that rings as a web process does."""
    return broker(settings)


async def place_some(database: Database) -> None:
    await put_products(database, APPLE=100)
    await place(database, *(a_placement(("APPLE", 1)) for _ in range(ORDERS)))


async def assert_done_once(database: Database, bank: Bank, postbox: Postbox) -> None:
    await eventually(partial(at_rest, database))
    assert await statuses(database) == {"paid": ORDERS}
    assert bank.verbs() == ["charge"] * ORDERS
    assert len({mail.message_id for mail in postbox.mails}) == len(postbox.mails) == ORDERS
    await assert_sound(database)


def a_message(queue: str, actor: str, *args: Any, **kwargs: Any) -> "dramatiq.Message[Any]":
    return dramatiq.Message(
        queue_name=queue, actor_name=actor, args=args, kwargs=kwargs, options={}
    )


async def test_one_ring_carries_orders_through_all_stages(
    database: Database,
    surroundings: Surroundings,
    sender: WakingBroker,
    bank: Bank,
    postbox: Postbox,
) -> None:
    await place_some(database)
    async with running(surroundings, "worker"):
        Doorbell(sender).ring(frozenset({Queue.INVENTORY}))

        await assert_done_once(database, bank, postbox)


async def test_sweep_finds_work_whose_ring_was_lost(
    database: Database,
    surroundings: Surroundings,
    valkey: "redis.asyncio.Redis",
    bank: Bank,
    postbox: Postbox,
) -> None:
    await place_some(database)
    assert await valkey.keys() == []

    async with running(surroundings, "worker", "clock"):
        await assert_done_once(database, bank, postbox)


async def test_doubled_and_forged_rings_do_nothing_twice(
    database: Database,
    surroundings: Surroundings,
    sender: WakingBroker,
    bank: Bank,
    postbox: Postbox,
) -> None:
    await place_some(database)
    async with running(surroundings, "worker-1", "worker-2"):
        for queue in (Queue.INVENTORY, Queue.PAYMENTS, Queue.NOTIFICATIONS):
            sender.enqueue(a_message(queue, queue, "an order id", amount=1))
            sender.enqueue(a_message(queue, "nobody"))
            for _ in range(10):
                sender.enqueue(a_message(queue, queue))

        await assert_done_once(database, bank, postbox)


async def test_what_is_no_message_at_all_keeps_nobody_from_work(
    database: Database,
    surroundings: Surroundings,
    valkey: "redis.asyncio.Redis",
    bank: Bank,
    postbox: Postbox,
) -> None:
    await place_some(database)
    other_code = b'{"queue_name": "inventory", "actor_name": "os.system", "args": ["true"]}'
    async with running(surroundings, "worker", "clock"):
        for queue in (Queue.INVENTORY, Queue.PAYMENTS, Queue.NOTIFICATIONS):
            for n, junk in enumerate((b"\xff\xfe", b"null", b"[" * 100_000, b"{}", other_code)):
                await valkey.hset(f"dramatiq:{queue}.msgs", f"forged-{n}", junk)
                await valkey.rpush(f"dramatiq:{queue}", f"forged-{n}")

        await assert_done_once(database, bank, postbox)
