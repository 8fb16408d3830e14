"""Work without the broker: while it takes no rings, a worker looks by itself for what is due."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from db.doorbell import WakingBroker
from domain.task import Queue
from workers.bell import Bell

log = logging.getLogger(__name__)

# As often as the clock would ring.
LOOK_EVERY_S = 1.0


class Lookout:
    """Answers the bells of a process in place of a broker that is away."""

    def __init__(self, broker: WakingBroker, bells: Mapping[Queue, Bell]) -> None:
        self._broker = broker
        self._bells = bells
        self._alone = False
        self._answering: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look until closed; in the event loop of the bells."""
        self._looking = asyncio.create_task(self._look())

    def ring(self, queues: Iterable[Queue]) -> None:
        """Have done here what nobody else can be told of; nothing while the broker is there."""
        if self._alone:
            for queue in self._bells.keys() & set(queues):
                task = asyncio.create_task(self._answer(queue))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)

    async def close(self) -> None:
        """Look no more, and wait for what is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking, *self._answering})

    async def _look(self) -> None:
        while True:
            alone = not await asyncio.to_thread(self._broker.takes_rings)
            if alone != self._alone:
                state = "takes no rings: looking for work without it" if alone else "is back"
                log.warning("The broker %s", state)
            self._alone = alone
            self.ring(self._bells)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _answer(self, queue: Queue) -> None:
        try:
            await self._bells[queue].answer()
        except Exception:
            log.exception("The drain of %s failed", queue)
