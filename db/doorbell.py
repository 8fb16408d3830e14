"""The doorbell: content-free messages that tell workers a stage has work in Postgres."""

# Dramatiq's Redis broker and redis-py are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false

import logging
import threading
from collections.abc import Sequence
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import (
    RedisBroker,
    _RedisConsumer,  # pyright: ignore[reportPrivateUsage] - the broker's seam has no public name
)
from dramatiq.errors import BrokerConnectionError
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.retry import Retry

from domain.task import Queue
from ops.config import SettingInvalid, Settings
from ops.telemetry import faultpoint, metrics
from ops.telemetry.faultpoint import Call

log = logging.getLogger(__name__)

# A ring that takes longer is given up; the sweep rings again within a second.
REDIS_TIMEOUT_S = 1.0

# After the wake-up channel broke, it is sought again this often.
RECONNECT_AFTER_S = 1.0

# The channel is asked for messages this often, so that a stopping process need not wait longer.
LISTEN_S = 5.0

WAKE_CHANNEL = "orderflow:rings"
PROBE = "orderflow:probe"

# Rings say the same, so one that waits speaks for all; some more wake other processes at once.
# While nobody listens no further ones pile up.
RINGS_WAITING_MAX = 100


class WakingBroker(RedisBroker):
    """Dramatiq's Redis broker with a wake-up in place of fast polling, and without delays.

    Every message is announced on a channel; consumers wait for that. Between announcements
    they look once per worker timeout, so that a lost one costs no more than that. Delayed
    messages are not ours (time lives in Postgres), so their queues have no consumers.
    """

    def __init__(self, client: "redis.Redis", middleware: Sequence[dramatiq.Middleware]) -> None:
        super().__init__(client=client, middleware=list(middleware))
        self._rung: dict[bytes, threading.Event] = {}
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None

    @property
    def consumer_class(self) -> "type[_WakingConsumer]":
        return _WakingConsumer

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def enqueue(
        self, message: "dramatiq.Message[Any]", *, delay: int | None = None
    ) -> "dramatiq.Message[Any]":
        if self.client.llen(f"{self.namespace}:{message.queue_name}") < RINGS_WAITING_MAX:
            message = super().enqueue(message, delay=delay)
        self.client.publish(WAKE_CHANNEL, message.queue_name)
        return message

    def takes_rings(self) -> bool:
        """Say whether a ring would arrive now; a server that is full or read-only takes none."""
        try:
            self.client.set(PROBE, "", px=1)
        except redis.RedisError:
            return False
        return True

    def rung(self, queue_name: str) -> threading.Event:
        """Give the event that is set whenever a queue may have got a message."""
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="rings", daemon=True)
                self._listener.start()
            return self._rung.setdefault(queue_name.encode(), threading.Event())

    def close(self) -> None:
        """Let go of everybody who waits."""
        self._closed.set()
        self._wake_all()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with self.client.pubsub(ignore_subscribe_messages=True) as channel:
                    channel.subscribe(WAKE_CHANNEL)
                    self._wake_all()
                    self._hear(channel)
            except redis.RedisError as error:
                log.warning("The wake-up channel is down, workers poll: %s", error)
                self._closed.wait(RECONNECT_AFTER_S)

    def _hear(self, channel: PubSub) -> None:
        while not self._closed.is_set():
            if heard := channel.get_message(timeout=LISTEN_S):
                event = self._rung.get(heard["data"])
                if event is not None:
                    event.set()

    def _wake_all(self) -> None:
        for event in list(self._rung.values()):
            event.set()


class _WakingConsumer(_RedisConsumer):
    def __init__(self, broker: WakingBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout=0)
        self._idle_s = timeout / 1000
        self._rung = broker.rung(queue_name)
        # What was rung before it came is waiting already.
        self._rung.set()

    def ack(self, message: dramatiq.MessageProxy) -> None:
        """Take a ring off the books if Redis is there; a ring that stays there does no harm.

        Dramatiq would go on trying until it is, and a stopping worker with it.
        """
        try:
            super().ack(message)
        except (redis.RedisError, BrokerConnectionError) as error:
            log.warning("A ring was not acknowledged: %s", error)

    nack = ack

    def __next__(self) -> dramatiq.MessageProxy | None:
        if not self.message_cache:
            self._rung.wait(self._idle_s)
            self._rung.clear()
        try:
            return super().__next__()
        except redis.TimeoutError as error:
            raise BrokerConnectionError(str(error)) from error


def broker(settings: Settings, middleware: Sequence[dramatiq.Middleware] = ()) -> WakingBroker:
    """Make the broker of one process; it connects on first use.

    Raises SettingInvalid if neither BROKER_URL nor REDIS_URL names a Redis.
    """
    url = settings.broker_url or settings.redis_url
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingInvalid("REDIS_URL: give redis://, rediss:// or unix://, or use `make up`.")
    client = redis.Redis.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    return WakingBroker(client, middleware)


class Doorbell:
    """Rings queues from a thread of its own: whoever calls `ring` neither waits nor fails.

    Rings for a queue that come while one is being sent become one ring.
    """

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._broker = broker
        self._lock = threading.Lock()
        self._waiting: set[Queue] = set()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, queues: frozenset[Queue]) -> None:
        """Have workers look for work in `queues`; from any thread."""
        if not queues:
            return
        with self._lock:
            self._waiting |= queues
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                queues, self._waiting = self._waiting, set()
            for queue in queues:
                self._send(queue)

    def _send(self, queue: Queue) -> None:
        try:
            with faultpoint.around(Call.RING, redis.ConnectionError):
                self._broker.enqueue(
                    dramatiq.Message(
                        queue_name=queue.value,
                        actor_name=queue.value,
                        args=(),
                        kwargs={},
                        options={},
                    )
                )
        except (redis.RedisError, BrokerConnectionError) as error:
            log.warning("Ring for %s was lost, the sweep repeats it: %s", queue, error)
            metrics.rings.labels(queue=queue.value, outcome="lost").inc()
        except Exception:
            # The thread has to live on: there is no other one in this process that rings.
            log.exception("Ring for %s failed, the sweep repeats it", queue)
            metrics.rings.labels(queue=queue.value, outcome="lost").inc()
        else:
            metrics.rings.labels(queue=queue.value, outcome="sent").inc()
