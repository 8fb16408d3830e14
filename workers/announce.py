"""Announcing breakers: every process writes where all can read it, and calls who waited."""

import asyncio
import logging
import os
import socket

from pybreaker import STATE_CLOSED

from db import breakers, tasks
from db.engine import Busy, Database, Unavailable, name_commit, transaction
from domain.task import Queue
from ops.telemetry.faultpoint import Commit

# Those who waited come spread over this time: all at once might open the breaker again.
CALL_BACK_WITHIN_S = 5.0

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
                name_commit(tx, Commit.BREAKER)
                await breakers.put(tx, gateway, self._process, state)
                if state == STATE_CLOSED:
                    # What waits for a retry or a lookup waits for the end of the outage.
                    await tasks.call_back(tx, Queue.PAYMENTS, within_s=CALL_BACK_WITHIN_S)
        except (Unavailable, Busy) as outage:
            log.warning("Breaker of %s is %s, which is not announced: %s", gateway, state, outage)

    async def close(self) -> None:
        """Let the last change be written."""
        if self._last is not None:
            await self._last
