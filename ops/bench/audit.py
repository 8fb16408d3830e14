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
from db.engine import Database, connect, fetch, transaction
from ops.bench import past
from ops.bench.books import Connection, opened
from ops.bench.rig import migrate
from ops.bench.usage import usage
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
    """Seconds of the first look and of those after it, and what these took of a processor.

    Processor time is that of Postgres and of the auditor, and does not depend on other load.
    """

    orders: int
    looked_at: int
    first_s: float
    median_s: float
    most_s: float
    cpu_s: float
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
    took: list[_Took] = []
    for n in range(1 + LOOKS):
        first = orders + 1 + n * CHANGED
        for start in range(first, first + CHANGED, GROUP):
            await past.write(connection, range(start, start + GROUP), now=start)
        took.append(await _look(audited))
    walls = [one.wall_s for one in took]
    return Measured(
        orders,
        took[-1].look.orders,
        round(walls[0], 3),
        round(statistics.median(walls[1:]), 3),
        round(max(walls[1:]), 3),
        round(statistics.median(one.cpu_s for one in took[1:]), 3),
        sum(len(one.look.new) for one in took),
    )


class _Took(msgspec.Struct):
    look: Look
    wall_s: float
    cpu_s: float


async def _look(audited: Database) -> _Took:
    began = time.perf_counter()
    async with transaction(audited) as tx:
        [backend] = await fetch(tx, int, "SELECT pg_backend_pid()", {})
        before = usage(backend).cpu_s + time.process_time()
        seen = await audits.look(tx, Limits())
        cpu_s = usage(backend).cpu_s + time.process_time() - before
    if seen is None:
        raise RuntimeError("Somebody else audits the bench's own database.")
    return _Took(seen, time.perf_counter() - began, cpu_s)


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
