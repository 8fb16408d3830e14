"""The wiring of a worker process: which actor drains which queue, with what."""

from collections.abc import Awaitable, Callable
from functools import partial

import dramatiq
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.middleware import AsyncIO, Middleware

from db.doorbell import Doorbell, WakingBroker, broker
from db.engine import connect
from domain.mail import Mailer
from domain.payment import Gateway
from domain.task import Queue
from ops.config import Settings
from workers import claimed, housekeeping, inventory, leased, notifications, payments
from workers.bell import Bell


class Lifecycle(Middleware):
    """Stops the drains of a stopping worker, then closes what they used."""

    def __init__(self) -> None:
        self.bells: list[Bell] = []
        self.closers: list[Callable[[], Awaitable[None]]] = []

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Have the drains take on nothing more; Dramatiq then waits for them."""
        del broker, worker
        thread = get_event_loop_thread()
        if thread is None:
            return
        for bell in self.bells:
            thread.loop.call_soon_threadsafe(bell.stop)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Close connections, while the event loop still runs."""
        del broker, worker
        thread = get_event_loop_thread()
        if thread is None:
            return
        for close in self.closers:
            thread.run_coroutine(close())


def build(settings: Settings, *, gateway: Gateway, mailer: Mailer) -> WakingBroker:
    """Make the broker of a worker process, with one actor per queue that drains its stage."""
    lifecycle = Lifecycle()
    made = broker(settings, [AsyncIO(), lifecycle])
    bells: dict[Queue, Bell] = {}
    doorbell = Doorbell(made)

    def ring(queues: frozenset[Queue]) -> None:
        # Work for a stage that is being drained right here needs no message to be found.
        doorbell.ring(frozenset(q for q in queues if q not in bells or not bells[q].hear()))

    database = connect(settings, name="orderflow worker", ring=ring)
    lifecycle.closers = [gateway.close, mailer.close, database.engine.dispose]

    reserve = claimed.Stage(database, Queue.INVENTORY, inventory.reserve, settings.group_max)
    prune = claimed.Stage(database, Queue.HOUSEKEEPING, housekeeping.prune, 1)
    pay = payments.stage(payments.Cashier(database, gateway, settings))
    notify = notifications.stage(notifications.Postman(database, mailer, settings))
    drains = {
        Queue.INVENTORY: partial(claimed.drain, reserve),
        Queue.PAYMENTS: partial(leased.drain, pay),
        Queue.NOTIFICATIONS: partial(leased.drain, notify),
        Queue.HOUSEKEEPING: partial(claimed.drain, prune),
    }
    for queue, drain in drains.items():
        bells[queue] = Bell(drain)
        dramatiq.actor(broker=made, queue_name=queue, actor_name=queue)(bells[queue].answer)
    lifecycle.bells = list(bells.values())
    return made
