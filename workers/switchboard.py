"""The switchboard: breakers are held as people want them, for which every process asks."""

import asyncio
import logging
from collections.abc import Sequence

from db import breakers
from db.engine import Busy, Database, Unavailable, transaction
from workers.breaker import Breaker

log = logging.getLogger(__name__)

# What somebody switches takes effect before they wonder; one row is read each time.
ASK_EVERY_S = 1.0


class Switchboard:
    """Holds the breakers of one process; while Postgres is away, all stay as they are."""

    def __init__(self, database: Database, held: Sequence[Breaker]) -> None:
        self._database = database
        self._breakers = held
        self._asking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Ask until closed; in the event loop of the breakers."""
        self._asking = asyncio.create_task(self._ask())

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def run_once(self) -> None:
        """Ask once, and hold the breakers so; raises Unavailable or Busy."""
        async with transaction(self._database) as tx:
            wanted = await breakers.switches(tx)
        for breaker in self._breakers:
            switch = wanted.get(str(breaker.name))
            breaker.force(switch and switch.forced)

    async def _ask(self) -> None:
        while True:
            try:
                await self.run_once()
            except (Unavailable, Busy) as outage:
                log.debug("Breakers stay as they are: %s", outage)
            except Exception:
                log.exception("The switches of breakers could not be read")
            await asyncio.sleep(ASK_EVERY_S)
