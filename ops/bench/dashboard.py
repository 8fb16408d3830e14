"""Measure the dashboard on a million orders: how long pages take, and what it costs to watch one.

`python -m ops.bench.dashboard`, or `make bench-dashboard`.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path

import aiohttp
import msgspec
from rich.console import Console

from ops.bench import backlog, past, report, watching
from ops.bench.books import Connection, opened
from ops.bench.connection import Answer
from ops.bench.connection import Connection as Line
from ops.bench.load import order_id
from ops.bench.report import Target, Value, at_most
from ops.bench.rig import Rig, ground, rig
from ops.bench.usage import spent
from ops.bench.watching import Took
from ops.bench.workload import Lost, Workload, requests
from ops.local.interrupt import run_until_told
from ops.local.staff import EMAIL, admin_password
from ops.local.state import DEFAULT_STATE, CannotStart

ORDERS = 1_000_000
# One order of so many is not at rest.
UNDER_WAY = 70
# Of each page; the 95th percentile is the second slowest of them.
TIMES = 40
PEOPLE = 10
WINDOW_S = 30.0
# Before a window, for what the last one set off.
REST_S = 3.0
# In this order, so that what happens every minute falls on either kind alike.
WINDOWS = (False, True, True, False)
# A small load: two orders a second.
ORDER_EVERY_S = 0.5

# Every page of the dashboard, as people ask for it; `{order}` is one that was paid.
ADDRESSES = (
    "/ops",
    "/ops/orders",
    "/ops/orders?status=reserved",
    "/ops/orders?q=customer7@example.com",
    "/ops/orders?q=SKU-7",
    "/ops/orders?q=SKU-HOT&status=cancelled",
    "/ops/orders?q=pi_1000",
    "/ops/orders/{order}",
    "/ops/orders/{order}?at=2",
    "/ops/payments",
    "/ops/stock",
    "/ops/stock?q=SKU-7",
    "/ops/stock/SKU-HOT",
    "/ops/queues",
    "/ops/tasks",
    "/ops/tasks?state=done",
    "/ops/tasks?state=ready&queue=payments",
    "/ops/tasks?error=mailbox&act=replay",
    "/ops/workers",
    "/ops/schedules",
    "/ops/audit",
    "/ops/audit?action=nothing.like.it",
    "/ops/invariants",
    "/ops/invariants?findings=all",
)
P95_MS, P95_MS_MAX, CPU_PERCENT = "p95_ms", "p95_ms_max", "overview_cpu_percent"
KEYS: Mapping[str, Target | None] = {
    P95_MS: at_most(300),
    P95_MS_MAX: at_most(300),
    CPU_PERCENT: at_most(2),
}

Tell = Callable[[str], None]


class Course(msgspec.Struct, frozen=True):
    """What to run; `tell` takes a line for whoever watches."""

    orders: int
    window_s: float
    state: Path
    tell: Tell


async def run(course: Course) -> dict[str, Value]:
    """Write a past, then measure. Raises CannotStart, or Lost if something failed."""
    course.state.mkdir(parents=True, exist_ok=True)
    log_file = course.state / "platform.log"
    course.tell(f"Logs of the processes: {log_file}")
    with log_file.open("w") as log:

        def say(name: str, line: str) -> None:
            print(name, line, sep=" | ", file=log)

        async with ground(course.state, say) as on:
            async with opened(on.servers.database_url) as connection:
                order = await _write(course, connection)
            async with rig(on, outside=False) as bench, opened(bench.database_url) as connection:
                password = admin_password(on.state / "platform")
                url = f"http://{bench.host}:{bench.port}"
                async with watching.logged_in(url, EMAIL, password) as browser:
                    pages = await _pages(course, browser, order)
                    await backlog.put_off(connection)
                    await bench.tidy()
                    cost = await _cost(course, browser, bench)
    return summary(pages, cost)


async def _write(course: Course, connection: Connection) -> str:
    """Write the past and its work; returns the id of an order."""
    began, now = time.monotonic(), course.orders
    await past.begin(connection)
    for n, first in enumerate(range(1, now + 1, past.SLICE), 1):
        numbers = range(first, min(first + past.SLICE, now + 1))
        await past.write(connection, numbers, now=now, under_way=now - now // UNDER_WAY, xid=n)
    await backlog.pile_up(connection, orders=now)
    await past.finish(connection)
    course.tell(f"{now:,} orders written in {time.monotonic() - began:.0f} s")
    newest = "SELECT id FROM orders WHERE status = 'paid' ORDER BY id DESC LIMIT 1"
    found = await (await connection.execute(newest)).fetchone()
    if found is None:
        raise Lost("No order of the past is paid: write more.")
    return str(found[0])


async def _pages(course: Course, browser: aiohttp.ClientSession, order: str) -> Mapping[str, Took]:
    took: dict[str, Took] = {}
    for address in ADDRESSES:
        one = await watching.ask(browser, address.format(order=order), times=TIMES)
        course.tell(
            f"{address:36} p95 {one.p95_ms:4.0f} ms, p50 {one.p50_ms:4.0f}, "
            f"the first {one.first_ms:4.0f}"
        )
        took[address] = one
    return took


async def _cost(course: Course, browser: aiohttp.ClientSession, bench: Rig) -> float:
    """Tell what watching takes of web and Postgres together, in percent of one core."""
    percent: dict[bool, list[float]] = {False: [], True: []}
    load = asyncio.create_task(_load(bench))
    try:
        for watched in WINDOWS:
            async with watching.watching(browser, people=PEOPLE if watched else 0):
                percent[watched].append(await _window(course, bench))
            said = "watched by ten" if watched else "unwatched"
            course.tell(f"{said:14} {percent[watched][-1]:.2f} % of one core")
            if load.done():
                load.result()
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    return (sum(percent[True]) - sum(percent[False])) / len(percent[True])


async def _window(course: Course, bench: Rig) -> float:
    await asyncio.sleep(REST_S)
    before, began = bench.usages(), time.monotonic()
    await asyncio.sleep(course.window_s)
    took_s = spent(before, bench.usages())
    return 100 * (took_s["web"] + took_s["postgres"]) / (time.monotonic() - began)


async def _load(bench: Rig) -> None:
    """Place an order every now and then, for good. Raises Lost if one is not accepted."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[Answer | None] = asyncio.Queue()
    _, line = await loop.create_connection(
        lambda: Line(lambda _, answer: heard.put_nowait(answer)), bench.host, bench.port
    )
    many = Workload(orders=1000, connections=1, seed=1, api_keys=bench.api_keys)
    for request in cycle(requests(many)):
        line.send(request)
        order_id(await heard.get())
        await asyncio.sleep(ORDER_EVERY_S)


def summary(pages: Mapping[str, Took], cost: float) -> dict[str, Value]:
    """Sum up what was measured; the keys first, then what is only shown."""
    p95_ms = {address: one.p95_ms for address, one in pages.items()}
    return {
        P95_MS: p95_ms,
        P95_MS_MAX: max(p95_ms.values()),
        CPU_PERCENT: cost,
        "first request, ms": {address: one.first_ms for address, one in pages.items()},
    }


def main(arguments: Sequence[str]) -> int:
    """Measure, show, and print a line of JSON; 1 if the platform failed, whatever its speed."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.dashboard", description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--seconds", type=float, default=WINDOW_S, help="of each of four windows")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE / "bench-dashboard")
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    try:
        values = run_until_told(
            run(Course(given.orders, given.seconds, given.state, console.print))
        )
    except (CannotStart, Lost) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if values is None:
        return 130
    console.print(report.table(values, KEYS, "Orderflow dashboard"))
    sys.stdout.write(report.json(values, KEYS) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
