"""Measure what a look of the auditor takes on many orders: `python -m ops.bench.audit`."""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from db import audits
from db.audits import Limits, Look
from db.engine import Database, connect, transaction
from ops.bench import past
from ops.bench.books import Connection, opened
from ops.bench.rig import migrate
from ops.config import Settings
from ops.local.child import Say
from ops.local.console import console
from ops.local.interrupt import run_until_told
from ops.local.servers import servers
from ops.local.state import CannotStart

ORDERS = 1_000_000
# What changes between two looks: a minute of seventeen orders a second, in groups.
CHANGED, GROUP = 1000, 50
LOOKS = 9
# One order of so many is not at rest.
UNDER_WAY = 70
_NO_REDIS = "redis://not-needed"


class Measured(msgspec.Struct, frozen=True):
    """Seconds of the first look and of the ones after it."""

    orders: int
    looked_at: int
    first_s: float
    median_s: float
    most_s: float
    violations: int


async def run(orders: int, state: Path, say: Say) -> Measured:
    """Write a past of so many orders into a Postgres of its own, and look."""
    async with _postgres(state, say) as url, opened(url) as connection:
        await past.begin(connection)
        began = time.monotonic()
        for n, first in enumerate(range(1, orders + 1, past.SLICE), 1):
            numbers = range(first, min(first + past.SLICE, orders + 1))
            await past.write(
                connection, numbers, now=orders, under_way=orders - orders // UNDER_WAY, xid=n
            )
        await past.finish(connection)
        say("bench", f"{orders:,} orders written in {time.monotonic() - began:.0f} s")
        audited = connect(Settings(database_url=url), name="orderflow bench", ring=lambda _: None)
        try:
            return await _measure(audited, connection, orders)
        finally:
            await audited.engine.dispose()


@asynccontextmanager
async def _postgres(state: Path, say: Say) -> AsyncGenerator[str]:
    environ = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    async with servers(state, environ | {"REDIS_URL": _NO_REDIS}, say=say) as up:
        await migrate(environ | {"DATABASE_URL": up.database_url}, say)
        yield up.database_url


async def _measure(audited: Database, connection: Connection, orders: int) -> Measured:
    seconds: list[float] = []
    looks: list[Look] = []
    for n in range(1 + LOOKS):
        first = orders + 1 + n * CHANGED
        for start in range(first, first + CHANGED, GROUP):
            await past.write(connection, range(start, start + GROUP), now=start)
        began = time.perf_counter()
        async with transaction(audited) as tx:
            seen = await audits.look(tx, Limits())
        seconds.append(time.perf_counter() - began)
        if seen is not None:
            looks.append(seen)
    return Measured(
        orders,
        looks[-1].orders,
        round(seconds[0], 3),
        round(statistics.median(seconds[1:]), 3),
        round(max(seconds[1:]), 3),
        sum(len(look.new) for look in looks),
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a line of JSON; 1 if the auditor found fault with what was written."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.audit", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="orderflow-audit-") as state:
        try:
            measured = run_until_told(run(given.orders, Path(state), console()))
        except CannotStart as error:
            sys.stderr.write(f"{error}\n")
            return 1
    if measured is None:
        return 130
    sys.stdout.write(msgspec.json.encode(measured).decode() + "\n")
    return 1 if measured.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
