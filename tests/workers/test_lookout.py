"""A worker looks by itself for what is due, if and only if the broker takes no rings."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from db.doorbell import broker
from domain.task import Queue
from ops.config import Settings
from workers.bell import Bell
from workers.lookout import Lookout

NOBODY = Settings(redis_url="redis://127.0.0.1:1/0")


class Drained:
    """A drain that tells how often it ran, and waits while it is held."""

    def __init__(self) -> None:
        self.times = 0
        self.ran = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, bell: Bell) -> None:
        bell.rung.clear()
        self.times += 1
        self.ran.set()
        await self.free.wait()


@pytest.fixture
def drained() -> Drained:
    return Drained()


@pytest.fixture
async def alone(drained: Drained) -> AsyncGenerator[Lookout]:
    """That of a worker whose broker is not there."""
    made = Lookout(broker(NOBODY), {Queue.PAYMENTS: Bell(drained)})
    yield made
    await made.close()


async def test_queues_are_drained_without_a_broker(alone: Lookout, drained: Drained) -> None:
    alone.start()

    await asyncio.wait_for(drained.ran.wait(), 10)


async def test_ring_is_answered_at_once_without_a_broker(alone: Lookout, drained: Drained) -> None:
    alone.start()
    await asyncio.wait_for(drained.ran.wait(), 10)
    drained.ran.clear()

    alone.ring({Queue.PAYMENTS, Queue.INVENTORY})
    await asyncio.sleep(0)

    assert drained.times == 2


async def test_broker_that_takes_rings_is_left_to_bring_them(
    settings: Settings, drained: Drained
) -> None:
    there = broker(settings)
    lookout = Lookout(there, {Queue.PAYMENTS: Bell(drained)})

    assert there.takes_rings()
    lookout.ring({Queue.PAYMENTS})
    await asyncio.sleep(0)

    assert drained.times == 0


async def test_close_waits_for_what_is_under_way(alone: Lookout, drained: Drained) -> None:
    drained.free.clear()
    alone.start()
    await asyncio.wait_for(drained.ran.wait(), 10)

    closing = asyncio.create_task(alone.close())
    done, _ = await asyncio.wait({closing}, timeout=0.1)
    drained.free.set()

    assert not done
    await asyncio.wait_for(closing, 10)


async def test_drain_that_fails_is_drained_again(drained: Drained) -> None:
    failing = True

    async def fail_once(bell: Bell) -> None:
        nonlocal failing
        if failing:
            failing = False
            raise RuntimeError("Once.")
        await drained(bell)

    lookout = Lookout(broker(NOBODY), {Queue.PAYMENTS: Bell(fail_once)})
    lookout.start()

    await asyncio.wait_for(drained.ran.wait(), 10)
    await lookout.close()
