"""The cache in two levels: read through, once at a time for each key, and never shown stale.

Values are read under tags. A value is shown only if nothing is known to have touched one of
them since it was read, and what is known is as new as `db.freshness` says; so it does not matter
who wrote it, when, or in which order.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec

from db.depot import Depot, Found, Kept
from db.engine import Busy, Unavailable
from db.freshness import Freshness
from db.invalidations import KEEP_S
from db.shelf import Entry, Shelf
from ops.config import Settings
from ops.telemetry import metrics

# For how long Redis keeps what is of the catalogue, and of an account.
CATALOGUE_S, PROFILE_S = 300.0, 60.0
# Orders change whether there are any left, and tell no cache: they have better things to do.
SHORT_S = 10.0
# Even a change that nobody has told of, e.g. by psql, is shown after this and the time in Redis.
IN_PROCESS_S = 5.0
# What was read at once does not end at once.
JITTER = 0.2
# Of what is not there nothing is written to Redis: there are more names than room.
ABSENT_S = 5.0
# Whoever waits for others' answers, each of which is overtaken, asks for one of their own.
JOINS_MAX = 3

T = TypeVar("T")


class Kind(msgspec.Struct, Generic[T], frozen=True):
    """A kind of values: how they are encoded, and for how long Redis keeps one.

    With a `keep_s` of 0 they are kept in the process alone.
    """

    name: str
    type: type[T]
    keep_s: float

    def __post_init__(self) -> None:
        if self.keep_s >= KEEP_S:
            raise ValueError(f"Of what is kept {KEEP_S} s or longer changes are forgotten.")


class Read(msgspec.Struct, Generic[T], frozen=True):
    """What was read, None if it is not there; all it was made of is among the tags.

    It holds `fresh_s` from the beginning of the reading on, e.g. until a price begins. `headers`
    go with it where it is shown.
    """

    value: T | None
    tags: frozenset[str]
    fresh_s: float = math.inf
    headers: Mapping[str, str] = {}


Load = Callable[[], Awaitable[Read[T]]]


class Cache:
    """The cache of one process."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.freshness = Freshness(settings, clock=clock)
        self._shelf = Shelf(settings.cache_bytes_max)
        self._depot = Depot(settings, clock=clock)
        self._flights: dict[str, asyncio.Task[Entry]] = {}
        self._storing: set[asyncio.Task[None]] = set()
        self._history = ""
        self._clock = clock

    def peek(self, kind: Kind[T], key: str) -> T | None:
        """Give a value if this process has it and knows that it holds; never waits."""
        if not self.freshness.is_known():
            return None
        entry = self._on_shelf(f"{kind.name}:{key}")
        if entry is None:
            return None
        metrics.cache_hits.labels(kind.name, "process").inc()
        return _value(entry)

    async def get(self, kind: Kind[T], key: str, load: Load[T]) -> T | None:
        """Give a value; `load` reads one that is nowhere, in a transaction that begins in it.

        `key` has to tell apart all that `load` depends on: of something personal, whose it is.
        Raises what `load` raises, and Unavailable if nobody knows what has changed.
        """
        await self.freshness.learn()
        name = f"{kind.name}:{key}"
        entry = self._on_shelf(name)
        if entry is not None:
            metrics.cache_hits.labels(kind.name, "process").inc()
            return _value(entry)
        for _ in range(JOINS_MAX):
            flight = self._flights.get(name)
            if flight is None:
                return _value(await self._begin(kind, name, load))
            metrics.cache_waits.labels(kind.name).inc()
            entry = await _landed(flight)
            # It may have set out before something changed that this request must see.
            if self._is_good(entry):
                return _value(entry)
        return _value(await self._loaded(kind, name, load))

    def forget(self) -> None:
        """Ask what has changed before anything cached is shown: somebody has committed here."""
        self.freshness.forget()

    async def close(self) -> None:
        """Let go of Postgres and Redis."""
        for task in (*self._flights.values(), *self._storing):
            task.cancel()
        await self.freshness.close()
        await self._depot.close()

    def _on_shelf(self, name: str) -> Entry | None:
        if self._history != self.freshness.history:
            self._history = self.freshness.history
            self._shelf.clear()
        entry = self._shelf.find(name)
        if entry is None:
            return None
        if self._is_good(entry):
            return entry
        self._shelf.drop(name)
        return None

    def _is_good(self, entry: Entry) -> bool:
        is_due = self._clock() < entry.until
        return is_due and self.freshness.holds(entry.seen, entry.tags)

    async def _begin(self, kind: Kind[T], name: str, load: Load[T]) -> Entry:
        """Find a value in Redis or load it, for all who ask for it meanwhile."""
        flight = asyncio.create_task(self._found(kind, name, load), context=Context())
        self._flights[name] = flight
        flight.add_done_callback(partial(_ended, self._flights, name))
        return await _landed(flight)

    async def _found(self, kind: Kind[T], name: str, load: Load[T]) -> Entry:
        if kind.keep_s:
            kept = await self._depot.find(self.freshness.history, name)
            if kept is not None and (entry := self._checked(kind, name, kept)) is not None:
                metrics.cache_hits.labels(kind.name, "redis").inc()
                return entry
        return await self._loaded(kind, name, load)

    async def _loaded(self, kind: Kind[T], name: str, load: Load[T]) -> Entry:
        # Whatever was committed when it was last asked what has changed, the reading sees.
        began, seen, history = self._clock(), self.freshness.seen, self.freshness.history
        metrics.cache_misses.labels(kind.name).inc()
        read = await load()
        value = msgspec.msgpack.encode(read.value)
        keep_s = IN_PROCESS_S if read.value is not None else ABSENT_S
        until = began + min(_jittered(keep_s), read.fresh_s)
        entry = Entry(read.value, tuple(read.tags), seen, until, len(value))
        if self._put(name, entry) and read.value is not None and kind.keep_s:
            left_s = min(_jittered(kind.keep_s), read.fresh_s - (self._clock() - began))
            kept = Kept(str(seen), entry.tags, msgspec.Raw(value))
            storing = self._depot.put(history, name, kept, keep_s=left_s)
            self._storing.add(task := asyncio.create_task(storing))
            task.add_done_callback(self._storing.discard)
        return entry

    def _checked(self, kind: Kind[T], name: str, found: Found) -> Entry | None:
        """Make an entry of what was in Redis; None if it is overtaken, or is none of the kind."""
        try:
            value = msgspec.msgpack.decode(found.value, type=kind.type)
        except msgspec.MsgspecError:
            metrics.cache_errors.labels(level="redis").inc()
            return None
        until = self._clock() + min(_jittered(IN_PROCESS_S), found.left_s)
        entry = Entry(value, found.tags, found.seen, until, len(found.value))
        return entry if self._put(name, entry) else None

    def _put(self, name: str, entry: Entry) -> bool:
        """Keep an entry in the process unless something newer is known of."""
        if not self.freshness.holds(entry.seen, entry.tags):
            metrics.cache_refusals.labels(level="process").inc()
            return False
        self._shelf.put(name, entry)
        return True


def _value(entry: Entry) -> Any:  # noqa: ANN401 - of the type of its kind
    return entry.value


def _jittered(keep_s: float) -> float:
    return keep_s * (1 - JITTER * random.random())  # noqa: S311 - it is no secret


async def _landed(flight: asyncio.Task[Entry]) -> Entry:
    try:
        return await asyncio.shield(flight)
    except (Unavailable, Busy) as refusal:
        # One for each: a shared exception would collect the frames of all who raise it.
        raise type(refusal)(refusal.detail) from None


def _ended(flights: dict[str, asyncio.Task[Entry]], name: str, flight: asyncio.Task[Entry]) -> None:
    del flights[name]
    # Whoever waited for it may be gone.
    if not flight.cancelled():
        flight.exception()
