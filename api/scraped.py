"""What a scrape shows, written once for all who scrape at about the same time."""

import asyncio

from db import readings
from db.engine import Busy, Database, Unavailable, transaction
from ops.telemetry.exposition import Readings, build_info, exposition

# Two scrapers, a person who reloads, or a flood of strangers cost no more than one.
KEEP_S = 1.0
# Prometheus gives a scrape ten seconds.
READ_WITHIN_S = 4.0


class Scraped:
    """The latest text for Prometheus, as old as KEEP_S at most."""

    def __init__(self, database: Database, *, revision: str) -> None:
        self._database = database
        self._build = build_info(revision)
        self._writing = asyncio.Lock()
        self._text = b""
        self._good_until = 0.0

    async def text(self) -> bytes:
        """Write what all processes of this machine count, and the gauges of the system."""
        async with self._writing:
            clock = asyncio.get_running_loop().time
            if clock() >= self._good_until:
                self._text = await asyncio.to_thread(exposition, await self.find())
                self._good_until = clock() + KEEP_S
        return self._text

    async def find(self) -> Readings:
        """Read the gauges; while Postgres is away there are few."""
        try:
            async with transaction(self._database, timeout_s=READ_WITHIN_S) as tx:
                found = {"orderflow_database_up": {(): 1}, **await readings.find(tx)}
        except (Unavailable, Busy):
            found = {"orderflow_database_up": {(): 0}}
        return {**self._build, **found}
