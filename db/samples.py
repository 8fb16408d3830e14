"""Samples: what was true of the whole system each minute, kept for some days."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import outcomes, stages
from db.engine import fetch, run

MINUTE = timedelta(minutes=1)

ORDERS, SETTLE_S, OLDEST_DUE_S, DEPTH = "orders", "settle_s", "oldest_due_s", "depth"

# Of the tasks of a stage, by the names that `Stage` has for them.
STATES = ("due", "later", "running", "dead")


class History(msgspec.Struct, frozen=True):
    """Values minute by minute until `last`, by name and label; None where there is no sample."""

    last: datetime
    minutes: int
    values: Mapping[tuple[str, str], list[float | None]]

    @property
    def names(self) -> list[str]:
        """Name the minutes, in UTC."""
        firsts = self.last - (self.minutes - 1) * MINUTE
        return [f"{firsts + n * MINUTE:%H:%M}" for n in range(self.minutes)]

    def of(self, name: str, label: str) -> list[float | None]:
        """Give one series; one of nothing if there is none."""
        return self.values.get((name, label), [None] * self.minutes)


class _Row(msgspec.Struct):
    name: str
    label: str
    minutes_ago: int
    value: float


async def current(tx: AsyncConnection) -> datetime:
    """Tell the time of the database, which all times here are by."""
    [found] = await fetch(tx, datetime.fromisoformat, "SELECT now()::text", {})
    return found


async def take(tx: AsyncConnection) -> None:
    """Write the sample of the minute that has just ended; written before, it stays.

    What commits after that is in no sample.
    """
    last = (await current(tx)).replace(second=0, microsecond=0) - MINUTE
    counted = await outcomes.count(tx, last, last + MINUTE)
    settled = await outcomes.settling(tx, last, last + MINUTE)
    taken = [(ORDERS, outcome, float(count)) for outcome, count in counted.items()]
    for label, took_s in (("p50", settled.p50_s), ("p95", settled.p95_s)):
        if took_s is not None:
            taken.append((SETTLE_S, label, took_s))
    for stage in await stages.page(tx):
        taken.append((OLDEST_DUE_S, stage.name, stage.oldest_due_s))
        depths = {state: float(getattr(stage, state)) for state in STATES}
        taken += [(DEPTH, f"{stage.name}:{state}", depth) for state, depth in depths.items()]
    await _insert(tx, last, taken)


async def _insert(
    tx: AsyncConnection, minute: datetime, taken: list[tuple[str, str, float]]
) -> None:
    await run(
        tx,
        """
        INSERT INTO samples (minute, name, label, value)
        SELECT %(minute)s, * FROM unnest(%(name)b::text[], %(label)b::text[], %(value)b::float8[])
        ON CONFLICT DO NOTHING
        """,
        {
            "minute": minute,
            "name": [name for name, _, _ in taken],
            "label": [label for _, label, _ in taken],
            "value": [value for _, _, value in taken],
        },
    )


async def history(tx: AsyncConnection, *names: str, minutes: int) -> History:
    """Read the samples of the last so many minutes that have ended."""
    last = (await current(tx)).replace(second=0, microsecond=0) - MINUTE
    rows = await fetch(
        tx,
        _Row,
        """
        SELECT name, label, (extract(epoch FROM %(last)s - minute) / 60)::int, value
        FROM samples
        WHERE minute > %(last)s - make_interval(mins => %(minutes)s) AND minute <= %(last)s
          AND name = ANY (%(names)b::text[])
        """,
        {"last": last, "minutes": minutes, "names": list(names)},
    )
    values: dict[tuple[str, str], list[float | None]] = {}
    for row in rows:
        series = values.setdefault((row.name, row.label), [None] * minutes)
        series[minutes - 1 - row.minutes_ago] = row.value
    return History(last, minutes, values)


async def prune(tx: AsyncConnection, *, keep_days: int, limit: int) -> int:
    """Delete samples older than `keep_days`; returns how many went."""
    return await run(
        tx,
        """
        DELETE FROM samples WHERE (minute, name, label) IN (
            SELECT minute, name, label FROM samples
            WHERE minute < now() - make_interval(days => %(days)s)
            ORDER BY minute LIMIT %(limit)s)
        """,
        {"days": keep_days, "limit": limit},
    )
