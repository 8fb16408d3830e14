"""Waiting workers hear a ring at once, and what they missed as soon as they listen again."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError

from db.doorbell import WAKE_CHANNEL, Doorbell, WakingBroker
from domain.task import Queue
from ops.config import Settings
from tests.db.rings import Valkey, rings
from tests.waiting import eventually

# Consumers look by themselves so rarely that only a wake-up can explain a prompt message.
IDLE_MS = 600_000
PROMPT_S = 20


async def _take(consumer: dramatiq.Consumer) -> dramatiq.MessageProxy:
    """Wait in a thread, as Dramatiq does, until the consumer yields a message."""
    taken: asyncio.Future[dramatiq.MessageProxy] = asyncio.get_running_loop().create_future()
    given_up = threading.Event()

    def look() -> None:
        while (message := next(consumer)) is None and not given_up.is_set():
            pass
        if message is not None:
            taken.get_loop().call_soon_threadsafe(taken.set_result, message)

    threading.Thread(target=look, daemon=True).start()
    try:
        return await asyncio.wait_for(taken, PROMPT_S)
    finally:
        given_up.set()


async def _listening(valkey: Valkey) -> bool:
    [(_, listeners)] = await valkey.pubsub_numsub(WAKE_CHANNEL)
    return listeners == 1


async def test_ring_wakes_a_waiting_worker(
    doorbell: Doorbell, worker: WakingBroker, lone_valkey: Valkey
) -> None:
    taken = asyncio.create_task(_take(worker.consume("payments", timeout=IDLE_MS)))
    assert await eventually(lambda: _listening(lone_valkey))

    doorbell.ring(frozenset({Queue.PAYMENTS}))

    assert (await taken).actor_name == "payments"


async def test_worker_that_comes_late_finds_the_ring_that_waits(
    doorbell: Doorbell, worker: WakingBroker, lone_valkey: Valkey
) -> None:
    worker.consume("inventory", timeout=IDLE_MS)
    assert await eventually(lambda: _listening(lone_valkey))
    doorbell.ring(frozenset({Queue.PAYMENTS}))
    await eventually(lambda: rings(lone_valkey, Queue.PAYMENTS))

    message = await _take(worker.consume("payments", timeout=IDLE_MS))

    assert message.actor_name == "payments"


async def test_ring_that_was_not_announced_is_found_all_the_same(
    worker: WakingBroker, far: Settings, lone_valkey: Valkey
) -> None:
    consumer = worker.consume("payments", timeout=20)
    assert await eventually(lambda: _listening(lone_valkey))

    RedisBroker(url=far.redis_url, middleware=[]).enqueue(
        dramatiq.Message(
            queue_name="payments", actor_name="payments", args=(), kwargs={}, options={}
        )
    )

    assert (await _take(consumer)).actor_name == "payments"


async def test_ring_while_the_wake_up_channel_is_down_is_heard_once_it_is_back(
    doorbell: Doorbell, worker: WakingBroker, lone_valkey: Valkey
) -> None:
    consumer = worker.consume("payments", timeout=IDLE_MS)
    assert await eventually(lambda: _listening(lone_valkey))
    taken = asyncio.create_task(_take(consumer))

    await lone_valkey.execute_command("CLIENT KILL TYPE pubsub")
    doorbell.ring(frozenset({Queue.PAYMENTS}))

    assert (await taken).actor_name == "payments"
    assert await eventually(lambda: _listening(lone_valkey))


async def test_forged_announcement_does_not_deafen_the_workers(
    doorbell: Doorbell, worker: WakingBroker, lone_valkey: Valkey
) -> None:
    taken = asyncio.create_task(_take(worker.consume("payments", timeout=IDLE_MS)))
    assert await eventually(lambda: _listening(lone_valkey))

    await lone_valkey.publish(WAKE_CHANNEL, b"\xff\xfe")
    doorbell.ring(frozenset({Queue.PAYMENTS}))

    assert (await taken).actor_name == "payments"


async def test_all_consumers_of_a_process_share_one_ear(
    worker: WakingBroker, lone_valkey: Valkey
) -> None:
    together = threading.Barrier(len(Queue), timeout=PROMPT_S)
    run = asyncio.get_running_loop().run_in_executor

    def consume(queue: Queue) -> None:
        together.wait()
        worker.consume(queue.value, timeout=IDLE_MS)

    # A thread for each: the loop's own executor has no more than a small machine needs.
    with ThreadPoolExecutor(len(Queue)) as threads:
        await asyncio.gather(*(run(threads, consume, queue) for queue in Queue))

    assert await eventually(lambda: _listening(lone_valkey))


async def test_valkey_that_stalls_is_a_connection_error_to_a_worker(
    worker: WakingBroker, lone_valkey: Valkey
) -> None:
    consumer = worker.consume("payments", timeout=0)
    assert next(consumer) is None
    await lone_valkey.client_pause(20_000, all=False)

    with pytest.raises(BrokerConnectionError):
        await asyncio.to_thread(next, consumer)

    await lone_valkey.client_unpause()


@pytest.mark.usefixtures("lone_valkey")
async def test_closed_broker_lets_go_of_who_waits(worker: WakingBroker) -> None:
    consumer = worker.consume("payments", timeout=IDLE_MS)
    assert next(consumer) is None
    waiting = threading.Thread(target=next, args=[consumer], daemon=True)
    waiting.start()

    worker.close()

    await asyncio.to_thread(waiting.join, PROMPT_S)
    assert not waiting.is_alive()
