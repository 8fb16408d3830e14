"""The heartbeat of a process: it tells that it lives, and hears that it is to stop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from db import processes
from db.engine import Database, transaction
from db.ids import new_id
from db.processes import ProcessKind, Self
from domain.refusal import Refusal
from ops.config import VERSION
from ops.telemetry import activity

log = logging.getLogger(__name__)

BEAT_EVERY_S = 3.0
# The second field is what of the process is in memory, in pages.
_STATM = Path("/proc/self/statm")


def terminate() -> None:
    """Ask this process to end as a platform would: what keeps it running starts another."""
    os.kill(os.getpid(), signal.SIGTERM)


class Heartbeat:
    """Keeps the row of this process; that it cannot be written keeps nothing else from working."""

    def __init__(
        self, database: Database, kind: ProcessKind, *, stop: Callable[[], None] = terminate
    ) -> None:
        """Call `stop` once, when somebody asks this process to."""
        self._database = database
        self._kind = kind
        self._stop = stop
        self._beating: asyncio.Task[None] | None = None
        self._silent = False
        self._stopping = False
        self.own: Self | None = None

    def start(self) -> None:
        """Beat until closed; in the event loop of the process, after any fork."""
        self.own = Self(new_id(), self._kind, socket.gethostname(), os.getpid(), VERSION)
        self._beating = asyncio.create_task(self._beat(self.own))

    async def close(self) -> None:
        """Beat no more, and take the row away: who ends like this is not lost."""
        if self._beating is None or self.own is None:
            return
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating
        try:
            async with transaction(self._database) as tx:
                await processes.leave(tx, self.own.id)
        except Refusal as outage:
            log.warning("This process will seem lost: %s", outage)

    async def _beat(self, own: Self) -> None:
        while True:
            try:
                asked = await self._once(own)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the process goes on
                self._say_silent(failure)
            else:
                self._silent = False
                if asked and not self._stopping:
                    log.warning("This process was asked to stop")
                    self._stopping = True
                    self._stop()
            await asyncio.sleep(BEAT_EVERY_S)

    async def _once(self, own: Self) -> bool:
        async with transaction(self._database) as tx:
            return await processes.beat(tx, own, rss_bytes=_rss_bytes(), running=activity.told())

    def _say_silent(self, failure: Exception) -> None:
        """Tell of the first beat of several that fail."""
        if not self._silent:
            log.warning("The heartbeat cannot be written, all else goes on: %s", failure)
        self._silent = True


def _rss_bytes() -> int | None:
    """Read how much memory this process takes; None where the kernel does not say."""
    if not _STATM.exists():
        return None
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
