"""The wiring of a worker process: which actor drains which queue, with what."""

import signal
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import FrameType

import dramatiq
import msgspec
import uvloop
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread, set_event_loop_thread
from dramatiq.middleware import AsyncIO

from db.doorbell import Doorbell, WakingBroker, broker
from db.engine import Database, connect
from db.heartbeat import Heartbeat
from db.processes import ProcessKind
from domain.location import Preference
from domain.mail import Mailer
from domain.payment import Gateway
from domain.task import Queue
from ops.config import Settings
from ops.telemetry import faultpoint, trace
from workers import (
    claimed,
    housekeeping,
    inventory,
    leased,
    notifications,
    payments,
    reconciliation,
)
from workers.announce import Announcer
from workers.bell import Bell, Drain
from workers.breaker import Breaker
from workers.lookout import Lookout
from workers.payments import Till
from workers.switchboard import Switchboard
from workers.watchdog import watch

# Starting a thread takes a moment; a machine that needs longer is in trouble.
LOOP_START_S = 5.0


class Lifecycle(AsyncIO):
    """Runs the event loop of a worker, stops its drains, then closes what they used."""

    def __init__(self, *, patience_s: float) -> None:
        """End the process if its loop is stuck for `patience_s`."""
        super().__init__()
        self._patience_s = patience_s
        self._ended = threading.Event()
        self.bells: list[Bell] = []
        self.openers: list[Callable[[], None]] = []
        self.closers: list[Callable[[], Awaitable[None]]] = []

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start the event loop in a thread that keeps no dying process alive."""
        del broker, worker
        _stop_once()
        thread = EventLoopThread(self.logger)
        # The loop of the web process: calls to gateways and relays take a fifth less CPU.
        thread.loop.close()
        thread.loop = uvloop.new_event_loop()
        thread.daemon = True
        thread.start(timeout=LOOP_START_S)
        set_event_loop_thread(thread)
        for open_ in self.openers:
            thread.loop.call_soon_threadsafe(open_)
        watched = (thread.loop, self._patience_s, self._ended)
        threading.Thread(target=watch, args=watched, name="watchdog", daemon=True).start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Have the drains take on nothing more; Dramatiq then waits for them."""
        del broker, worker
        thread = get_event_loop_thread()
        if thread is None:
            return
        for bell in self.bells:
            thread.loop.call_soon_threadsafe(bell.stop)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Close connections, then stop the event loop."""
        thread = get_event_loop_thread()
        self._ended.set()
        if thread is not None:
            for close in self.closers:
                thread.run_coroutine(close())
        trace.close()
        super().after_worker_shutdown(broker, worker)


def _stop_once() -> None:
    """Have a worker end its work however often it is told to stop.

    A PaaS tells every process of a dyno, and Dramatiq's master tells its workers again; the
    second time would end them at once.
    """
    stop = signal.getsignal(signal.SIGTERM)

    def stop_once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, stop_once)


def build(settings: Settings, *, gateways: Sequence[Gateway], mailer: Mailer) -> WakingBroker:
    """Make the broker of a worker process, with one actor per queue that drains its stage."""
    faultpoint.arm(settings.faultpoint)
    lifecycle = Lifecycle(patience_s=settings.lease_s)
    made = broker(settings, [lifecycle])
    bells: dict[Queue, Bell] = {}
    doorbell, lookout = Doorbell(made), Lookout(made, bells)

    def ring(queues: frozenset[Queue]) -> None:
        # Work for a stage that is being drained right here needs no message to be found.
        unheard = frozenset(q for q in queues if q not in bells or not bells[q].hear())
        doorbell.ring(unheard)
        lookout.ring(unheard)

    database = connect(settings, name="orderflow worker", ring=ring)
    announcer, alive = Announcer(database), Heartbeat(database, ProcessKind.WORKER)
    tills = {g.name: Till(g, Breaker(g.name, settings, on_change=announcer)) for g in gateways}
    switchboard = Switchboard(database, [till.breaker for till in tills.values()])
    lifecycle.openers = [lookout.start, alive.start, switchboard.start]
    shut = [lookout.close, announcer.close, *(g.close for g in gateways), mailer.close]
    lifecycle.closers = [alive.close, switchboard.close, *shut, database.engine.dispose]

    drains = _drains(database, settings, tills, mailer)
    for queue, drain in drains.items():
        bells[queue] = Bell(drain, invite=partial(doorbell.ring, frozenset({queue})))
        dramatiq.actor(broker=made, queue_name=queue, actor_name=queue)(bells[queue].answer)
    lifecycle.bells = list(bells.values())
    return made


def _drains(
    database: Database, settings: Settings, tills: Mapping[str, Till], mailer: Mailer
) -> dict[Queue, Drain]:
    """Give what works off each queue."""
    allocate = partial(inventory.reserve, preference=Preference(settings.allocate_by))
    reserve = claimed.Stage(
        database, Queue.INVENTORY, allocate, settings.group_max, settings.lease_s
    )
    patient = msgspec.structs.replace(database, timeout_s=housekeeping.PATIENCE_S)
    keep_house = claimed.Stage(
        patient, Queue.HOUSEKEEPING, housekeeping.keep_house, 1, housekeeping.PATIENCE_S
    )
    pay = payments.stage(payments.Cashier(database, tills, settings))
    reconcile = reconciliation.stage(reconciliation.Clerk(database, tills, settings))
    return {
        Queue.INVENTORY: partial(claimed.drain, reserve),
        Queue.PAYMENTS: partial(leased.drain, pay),
        Queue.NOTIFICATIONS: partial(
            leased.drain, notifications.stage(notifications.Postman(database, mailer, settings))
        ),
        Queue.HOUSEKEEPING: partial(claimed.drain, keep_house),
        Queue.RECONCILIATION: partial(leased.drain, reconcile),
    }
