"""What a scrape shows of the whole system, read once for all who scrape at about the same time."""

import asyncio

from db import readings
from db.engine import Busy, Database, Unavailable, transaction
from ops.telemetry.exposition import Readings, build_info

# Two scrapers, or a person who reloads, cost no more than one.
KEEP_S = 1.0
# Prometheus gives a scrape ten seconds.
READ_WITHIN_S = 4.0


class Scraped:
    """The latest readings of the system, as old as KEEP_S at most."""

    def __init__(self, database: Database, *, revision: str) -> None:
        self._database = database
        self._build = build_info(revision)
        self._reading = asyncio.Lock()
        self._read: Readings = {}
        self._good_until = 0.0

    async def find(self) -> Readings:
        """Read the gauges; while Postgres is away there are few."""
        async with self._reading:
            clock = asyncio.get_running_loop().time
            if clock() >= self._good_until:
                self._read = {**self._build, **await self._find()}
                self._good_until = clock() + KEEP_S
        return self._read

    async def _find(self) -> Readings:
        try:
            async with transaction(self._database, timeout_s=READ_WITHIN_S) as tx:
                return {"orderflow_database_up": {(): 1}, **await readings.find(tx)}
        except (Unavailable, Busy):
            return {"orderflow_database_up": {(): 0}}
