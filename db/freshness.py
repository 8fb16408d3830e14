"""Freshness: what one process knows of changes, and how old that knowledge may be."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from contextvars import Context
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from db import invalidations
from db.engine import Unavailable
from db.invalidations import Changes
from db.link import LINK, address, cut_late, session
from db.snapshots import Snapshot
from ops.config import Settings
from ops.telemetry import metrics

log = logging.getLogger(__name__)

# Once it is older than this it is asked again, beside the requests ...
ASK_AFTER_S = 0.25
# ... and from this age on requests wait for it. A change is shown within a second of its commit.
KNOWN_S = 0.75
# While Postgres does not answer nothing is committed that would be shown, but who knows whether
# it answers others: what is cached is shown this long.
AWAY_S = 5.0
# A question takes a millisecond. Requests wait for this one.
ANSWER_WITHIN_S = 0.5
# Of each tag; it is enough while transactions last for less time than passes between so many.
TOUCHES_MAX = 4
# Some hundred bytes each.
REMEMBERED_MAX = 50_000
# Of a process that has not asked yet.
NOTHING = Snapshot(0, 0, ())
OUTAGES = (psycopg.OperationalError, OSError, TimeoutError)


class Freshness:
    """Tells whether what was read then still holds, so that a cache need not be told anything.

    Nothing arrives here that could get lost on its way: Postgres is asked, over a connection of
    its own, and only when somebody wants to know. What is known is all that was committed when
    it was last asked.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask the Postgres of `settings`, from the first question on."""
        self._open = partial(_connect, settings)
        self._clock = clock
        self._link: psycopg.AsyncConnection[Any] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = self._failed_at = -math.inf
        # How often somebody committed here, and how often when it was last asked.
        self._commits, self._commits_seen = 0, -1
        # By tag: transactions that touched it. Of those up to the first no more is remembered.
        self._touched: dict[str, tuple[int, ...]] = {}
        self._floor = 0
        self._since: Snapshot | None = None
        self.seen = NOTHING
        self.history: str = ""

    def forget(self) -> None:
        """Have it asked before anything cached is shown again: something was committed here."""
        self._commits += 1

    def is_known(self) -> bool:
        """Tell whether what is known is new enough; what soon is not, is asked for."""
        now = self._clock()
        if now - self._asked_at > ASK_AFTER_S:
            self._ask()
        # Only who comes just after nobody answered is shown what is older: others wait and see.
        is_away = now - self._failed_at <= ASK_AFTER_S
        bound_s = AWAY_S if is_away else KNOWN_S
        return now - self._asked_at <= bound_s and self._commits_seen == self._commits

    async def learn(self) -> None:
        """Wait until what is known is new enough. Raises Unavailable."""
        if self.is_known():
            return
        commits = self._commits
        # One that is under way may have begun too early.
        for _ in range(2):
            if (asking := self._ask()) is None:
                break
            await asyncio.shield(asking)
            if self._commits_seen >= commits and self._clock() - self._asked_at <= KNOWN_S:
                return
        if self._commits_seen < commits or self._clock() - self._asked_at > AWAY_S:
            raise Unavailable("The database does not say whether what is cached still holds.")

    def holds(self, seen: Snapshot, tags: Iterable[str]) -> bool:
        """Tell whether nothing is known to have touched `tags` that a snapshot does not see."""
        if not (self._floor < seen.xmin and seen.xmax <= self.seen.xmax):
            return False
        for tag in tags:
            xids = self._touched.get(tag)
            if xids is not None and not (
                xids[0] < seen.xmin and all(seen.sees(xid) for xid in xids[1:])
            ):
                return False
        return True

    async def close(self) -> None:
        """Let go of Postgres."""
        if self._asking is not None:
            await self._asking
        if self._link is not None:
            await self._link.close()

    def _ask(self) -> asyncio.Task[None] | None:
        """Ask, unless somebody does or has just found nobody there."""
        if self._asking is None and self._clock() - self._failed_at > ASK_AFTER_S:
            # It is not the work of the request that happens to want it first.
            self._asking = asyncio.create_task(self._answered(), context=Context())
        return self._asking

    async def _answered(self) -> None:
        asked_at, commits = self._clock(), self._commits
        try:
            found = await self._found()
        except OUTAGES as error:
            metrics.cache_errors.labels(level="postgres").inc()
            # Once for each outage.
            level = logging.WARNING if self._asked_at >= self._failed_at else logging.DEBUG
            log.log(level, "What is cached is shown for %g s at most: %r", AWAY_S, error)
            self._failed_at = self._clock()
        else:
            self._take(found)
            self._asked_at, self._commits_seen = asked_at, commits
        finally:
            self._asking = None

    async def _found(self) -> Changes:
        if self._link is not None:
            try:
                return await self._changes(self._link)
            except OUTAGES as error:
                # It may be this connection alone that is lost, and nobody else's.
                log.info("Whether what is cached holds is asked over another connection: %r", error)
                await self._link.close()
                self._link = None
        async with asyncio.timeout(ANSWER_WITHIN_S):
            self._link = await self._open()
        # It may be another server by now, or have gone back to a backup.
        self._since = None
        return await self._changes(self._link)

    async def _changes(self, link: psycopg.AsyncConnection[Any]) -> Changes:
        cut = asyncio.get_running_loop().call_later(
            ANSWER_WITHIN_S, cut_late, link, ANSWER_WITHIN_S
        )
        try:
            return await invalidations.changes(link, since=self._since)
        finally:
            cut.cancel()

    def _take(self, found: Changes) -> None:
        if found.history != self.history or found.seen.xmax < self.seen.xmax:
            self._touched.clear()
            self._floor, self.history = 0, found.history
        self._floor = max(self._floor, found.floor)
        for tag, xids in found.touched.items():
            # To the end: those are forgotten that were touched first.
            before = self._touched.pop(tag, (0,))
            first, *later = sorted({*before[1:], *xids})[-TOUCHES_MAX - 1 :]
            dropped = first if len(later) == TOUCHES_MAX else 0
            kept = later if dropped else [first, *later]
            self._touched[tag] = (max(before[0], dropped), *kept)
        while len(self._touched) > REMEMBERED_MAX:
            self._floor = max(self._floor, *self._touched.pop(next(iter(self._touched))))
        self.seen = self._since = found.seen
        metrics.cache_invalidations.inc(len(found.touched))


async def _connect(settings: Settings) -> psycopg.AsyncConnection[Any]:
    url = address(settings.database_url).set(drivername="postgresql")
    link = make_conninfo(
        url.render_as_string(hide_password=False),
        application_name="orderflow cache",
        options=session(settings),
        **LINK,
    )
    return await psycopg.AsyncConnection.connect(link, autocommit=True)
