"""Rings reach waiting workers at once, and no trouble of the broker reaches who rings."""

import asyncio
import socket
import threading
import time
from contextlib import closing
from functools import partial
from typing import Any, cast

import dramatiq
import msgspec
import pytest
from dramatiq.brokers.stub import StubBroker
from prometheus_client import REGISTRY

from db.doorbell import RINGS_WAITING_MAX, Doorbell, WakingBroker, broker
from domain.task import Queue
from ops.config import SettingInvalid, Settings
from ops.telemetry import faultpoint
from tests.db.rings import Valkey, rings
from tests.waiting import eventually

# Of a ring, which only wakes a thread.
SLOW_S = 0.1


def _outcomes(queue: Queue, outcome: str) -> float:
    labels = {"queue": queue.value, "outcome": outcome}
    return REGISTRY.get_sample_value("orderflow_rings_total", labels) or 0.0


async def _all_sent(doorbell: Doorbell, valkey: Valkey) -> None:
    """Return once everything rung before has been sent: two rings later are two sendings later."""
    for _ in range(2):
        before = await rings(valkey, Queue.HOUSEKEEPING)
        doorbell.ring(frozenset({Queue.HOUSEKEEPING}))

        async def arrived(before: int = before) -> bool:
            return await rings(valkey, Queue.HOUSEKEEPING) > before

        await eventually(arrived)


async def test_ring_is_one_message_that_says_nothing_but_its_queue(
    doorbell: Doorbell, lone_valkey: Valkey
) -> None:
    doorbell.ring(frozenset({Queue.PAYMENTS}))
    await _all_sent(doorbell, lone_valkey)

    [body] = await cast("asyncio.Future[list[bytes]]", lone_valkey.hvals("dramatiq:payments.msgs"))
    message = dramatiq.Message.decode(body)
    assert (message.queue_name, message.actor_name) == ("payments", "payments")
    assert (message.args, message.kwargs) == ((), {})


async def test_doorbell_outlives_what_nobody_expects(
    doorbell: Doorbell, lone_valkey: Valkey, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(partial(faultpoint.arm, ""))
    faultpoint.arm("call-ring.before:1:raise")
    before = _outcomes(Queue.PAYMENTS, "lost")

    async def lost() -> bool:
        return _outcomes(Queue.PAYMENTS, "lost") == before + 1

    doorbell.ring(frozenset({Queue.PAYMENTS}))
    # No other ring may come before: the first that is sent is the one that fails.
    await eventually(lost)
    await _all_sent(doorbell, lone_valkey)

    assert await rings(lone_valkey, Queue.PAYMENTS) == 0


class _Held(StubBroker):
    """A broker that takes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.may = threading.Event()
        self.taken: list[str] = []

    def enqueue(
        self, message: "dramatiq.Message[Any]", *, delay: int | None = None
    ) -> "dramatiq.Message[Any]":
        del delay
        self.begun.set()
        assert self.may.wait(30)
        self.taken.append(message.queue_name)
        return message


async def test_rings_that_come_while_one_is_sent_become_one_per_queue() -> None:
    held = _Held()
    doorbell = Doorbell(held)
    doorbell.ring(frozenset({Queue.SHIPPING}))
    assert await asyncio.to_thread(held.begun.wait, 30)

    for _ in range(1000):
        doorbell.ring(frozenset({Queue.PAYMENTS, Queue.INVENTORY}))
    held.may.set()

    async def all_taken() -> bool:
        return len(held.taken) >= 3

    await eventually(all_taken)
    doorbell.ring(frozenset({Queue.WEBHOOKS}))

    async def last_taken() -> bool:
        return "webhooks" in held.taken

    await eventually(last_taken)
    assert sorted(held.taken) == ["inventory", "payments", "shipping", "webhooks"]


async def test_ring_for_nothing_sends_nothing(doorbell: Doorbell, lone_valkey: Valkey) -> None:
    doorbell.ring(frozenset())
    await _all_sent(doorbell, lone_valkey)

    rung = {queue: await rings(lone_valkey, queue) for queue in Queue}
    assert {queue: count for queue, count in rung.items() if count} == {Queue.HOUSEKEEPING: 2}


async def test_rings_do_not_pile_up_while_nobody_listens(
    worker: WakingBroker, lone_valkey: Valkey
) -> None:
    ring = dramatiq.Message(
        queue_name="payments", actor_name="payments", args=(), kwargs={}, options={}
    )
    for _ in range(RINGS_WAITING_MAX + 20):
        worker.enqueue(ring)

    assert await rings(lone_valkey, Queue.PAYMENTS) == RINGS_WAITING_MAX


def _longest_ring_s(doorbell: Doorbell) -> float:
    """Ring often, and return how long the longest ring took, or the first that was too long."""
    longest = 0.0
    for _ in range(200):
        begun = time.perf_counter()
        doorbell.ring(frozenset({Queue.SHIPPING}))
        longest = max(longest, time.perf_counter() - begun)
        if longest >= SLOW_S:
            break
    return longest


async def test_broker_that_is_not_there_neither_fails_nor_holds_up_whorings() -> None:
    doorbell = Doorbell(broker(Settings(redis_url="redis://127.0.0.1:1/0")))
    lost = _outcomes(Queue.SHIPPING, "lost")

    assert _longest_ring_s(doorbell) < SLOW_S

    async def noticed() -> bool:
        return _outcomes(Queue.SHIPPING, "lost") > lost

    assert await eventually(noticed)


async def test_broker_that_never_answers_neither_fails_nor_holds_up_whorings() -> None:
    lost = _outcomes(Queue.SHIPPING, "lost")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"

        assert _longest_ring_s(Doorbell(broker(Settings(redis_url=url)))) < SLOW_S

        async def given_up() -> bool:
            return _outcomes(Queue.SHIPPING, "lost") > lost

        assert await eventually(given_up)


@pytest.mark.parametrize("harm", ["CLIENT KILL TYPE normal", "FLUSHALL", "SCRIPT FLUSH"])
async def test_ring_after_harm_to_the_broker_arrives(
    doorbell: Doorbell, lone_valkey: Valkey, harm: str
) -> None:
    doorbell.ring(frozenset({Queue.PAYMENTS}))
    await _all_sent(doorbell, lone_valkey)

    await lone_valkey.execute_command(harm)
    await lone_valkey.flushall()
    doorbell.ring(frozenset({Queue.PAYMENTS}))

    await _all_sent(doorbell, lone_valkey)
    assert await rings(lone_valkey, Queue.PAYMENTS) == 1


async def test_key_of_the_wrong_type_costs_only_the_rings_of_its_queue(
    doorbell: Doorbell, lone_valkey: Valkey
) -> None:
    lost = _outcomes(Queue.INVENTORY, "lost")
    await lone_valkey.set("dramatiq:inventory", "x")

    doorbell.ring(frozenset({Queue.INVENTORY, Queue.PAYMENTS}))
    await _all_sent(doorbell, lone_valkey)

    assert _outcomes(Queue.INVENTORY, "lost") == lost + 1
    assert await rings(lone_valkey, Queue.PAYMENTS) == 1

    await lone_valkey.delete("dramatiq:inventory")
    doorbell.ring(frozenset({Queue.INVENTORY}))
    await _all_sent(doorbell, lone_valkey)
    assert await rings(lone_valkey, Queue.INVENTORY) == 1


def test_queues_have_no_consumers_of_delayed_messages(worker: WakingBroker) -> None:
    worker.declare_queue("payments")

    assert worker.get_declared_queues() == {"payments"}
    assert worker.get_declared_delay_queues() == set()


@pytest.mark.parametrize("url", ["", "amqp://localhost", "http://localhost"])
def test_what_is_no_redis_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(SettingInvalid, match="REDIS_URL: give redis://"):
        broker(Settings(redis_url=url))


def test_broker_url_goes_before_redis_url(far: Settings) -> None:
    settings = msgspec.structs.replace(far, redis_url="not read", broker_url=far.redis_url)

    with closing(broker(settings)) as made:
        assert made.client.ping()


def test_ring_that_was_answered_is_let_go_while_the_broker_is_away() -> None:
    away = broker(Settings(redis_url="unix:///nowhere/valkey.sock"))
    consumer = away.consume("inventory", timeout=0)
    options = {"redis_message_id": "1"}
    message = dramatiq.Message("inventory", "inventory", (), {}, options)

    with closing(away):
        for let_go in (consumer.ack, consumer.nack):
            assert let_go(dramatiq.MessageProxy(message)) is None
