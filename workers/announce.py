"""Announcing breakers: every process writes the state of its own where all can read it."""

import asyncio
import logging
import os
import socket

from db import breakers
from db.engine import Busy, Database, Unavailable, transaction

log = logging.getLogger(__name__)


class Announcer:
    """Writes changes in the background, in their order; what Postgres misses is only logged."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._last: asyncio.Task[None] | None = None

    def __call__(self, gateway: str, old: str, new: str) -> None:
        """Take note of a change, from within the event loop."""
        del old
        self._last = asyncio.create_task(self._write(self._last, gateway, new))

    async def _write(self, before: asyncio.Task[None] | None, gateway: str, state: str) -> None:
        if before is not None:
            await before
        try:
            async with transaction(self._database) as tx:
                await breakers.put(tx, gateway, self._process, state)
        except (Unavailable, Busy) as outage:
            log.warning("Breaker of %s is %s, which is not announced: %s", gateway, state, outage)

    async def close(self) -> None:
        """Let the last change be written."""
        if self._last is not None:
            await self._last
