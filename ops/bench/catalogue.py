"""Measure the catalogue: pages from the caches beside a probe, searches, statements of GraphQL.

`python -m ops.bench.catalogue`, or `make bench-catalogue`.
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
from rich.console import Console

from ops.bench import graphql, report, search
from ops.bench.books import renew
from ops.bench.reads import Order, read
from ops.bench.report import Target, Value, at_least, at_most
from ops.bench.rig import migrate
from ops.bench.workload import Lost
from ops.local.interrupt import run_until_told
from ops.local.servers import servers
from ops.local.state import DEFAULT_STATE, CannotStart
from ops.local.up import platform

# Of each, in turns, so that whatever else the machine does falls on both alike.
ROUNDS = 5
WINDOW_S = 5.0
CONNECTIONS = 32
# A process keeps some thousand pages; these are the ones that everybody looks at.
HOT = 200
# Of a shop's readings few products get most: the nth so often as 1/n ** SKEW.
READINGS, SKEW = 40_000, 1.1
SEARCH_ROUNDS = 20
_LINES = "release: alembic upgrade head\nweb: {web}\n"
_NO_SANDBOX = "echo ready && exec sleep infinity"
_HITS, _MISSES = "orderflow_cache_hits_total{", "orderflow_cache_misses_total{"

RATIO, HIT_RATE = "cached_get_ratio", "hit_rate"
SEARCH_MS, STATEMENTS = "search_p95_ms", "graphql_statements_max"
KEYS: Mapping[str, Target | None] = {
    RATIO: at_least(0.7),
    HIT_RATE: None,
    SEARCH_MS: at_most(50),
    STATEMENTS: None,
}

Tell = Callable[[str], None]


class Course(msgspec.Struct, frozen=True):
    """What to run; `tell` takes a line for whoever watches."""

    products: int
    rounds: int
    window_s: float
    state: Path
    tell: Tell


async def run(course: Course) -> dict[str, Value]:
    """Write a catalogue, then measure. Raises CannotStart, or Lost if something failed."""
    course.state.mkdir(parents=True, exist_ok=True)
    log_file = course.state / "platform.log"
    course.tell(f"Logs of the processes: {log_file}")
    with log_file.open("w") as log:

        def say(name: str, line: str) -> None:
            print(name, line, sep=" | ", file=log)

        environ = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
        async with servers(course.state / "servers", environ, say=say) as up:
            environ |= {"DATABASE_URL": up.database_url, "REDIS_URL": up.redis_url}
            await renew(up.database_url)
            await migrate(environ, say)
            began = time.monotonic()
            await search.fill(up.database_url, products=course.products)
            took_s = time.monotonic() - began
            course.tell(f"{course.products:,} products written in {took_s:.0f} s")
            state = course.state / "platform"
            lines = _LINES.format(web=_web())
            async with platform(
                state, environ, lines=lines, sandbox=_NO_SANDBOX, say=say
            ) as running:
                cached = await _cached(course, running.url)
            searched = await search.measure(up.database_url, rounds=SEARCH_ROUNDS)
            counted = await graphql.measure(up.database_url)
    return cached | {
        SEARCH_MS: searched.search_p95_ms,
        STATEMENTS: counted.graphql_statements_max,
        "search p95 by kind, ms": dict(searched.by_kind_p95_ms),
    }


def _web() -> str:
    lines = (Path(__file__).parents[2] / "Procfile").read_text().splitlines()
    return next(line for line in lines if line.startswith("web: ")).removeprefix("web: ")


async def _cached(course: Course, url: str) -> dict[str, Value]:
    """Read pages that are cached, in turns with a probe, then as customers do."""
    at = urlsplit(url)

    def order(paths: Sequence[str], seconds: float) -> Order:
        return Order(at.hostname or "", at.port or 0, paths, CONNECTIONS, seconds)

    pages = [_page(number) for number in range(min(HOT, course.products))]
    await read(order(pages, 1.0))
    rates: dict[str, list[float]] = {"probe": [], "page": []}
    for _ in range(course.rounds):
        for name, paths in (("probe", ["/health/live"]), ("page", pages)):
            found = await read(order(paths, course.window_s))
            rates[name].append(found.per_s)
        course.tell(f"probe {rates['probe'][-1]:,.0f}/s, page {rates['page'][-1]:,.0f}/s")
    before = await _counts(url)
    await read(order(_readings(course.products), 2 * course.window_s))
    hits, misses = (after - was for after, was in zip(await _counts(url), before, strict=True))
    probe, page = statistics.median(rates["probe"]), statistics.median(rates["page"])
    return {
        RATIO: page / probe,
        HIT_RATE: hits / (hits + misses),
        "probes per s": probe,
        "cached pages per s": page,
    }


def _page(number: int) -> str:
    return f"/v1/products/product-{number}"


def _readings(products: int) -> list[str]:
    """Draw what customers look at."""
    dice = random.Random(1)  # noqa: S311 - variety, no secret
    weights = [1 / n**SKEW for n in range(1, products + 1)]
    return [_page(number) for number in dice.choices(range(products), weights, k=READINGS)]


async def _counts(url: str) -> tuple[float, float]:
    """Read how many readings the caches have answered, and how many Postgres had to."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    hits, misses = (
        sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
        for name in (_HITS, _MISSES)
    )
    return hits, misses


def main(arguments: Sequence[str]) -> int:
    """Measure, show, and print a line of JSON; 1 if the platform failed, whatever its speed."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.catalogue", description=__doc__)
    parser.add_argument("--products", type=int, default=search.PRODUCTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=WINDOW_S, help="of each window")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE / "bench-catalogue")
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    course = Course(given.products, given.rounds, given.seconds, given.state, console.print)
    try:
        values = run_until_told(run(course))
    except (CannotStart, Lost) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if values is None:
        return 130
    console.print(report.table(values, KEYS, "Orderflow catalogue"))
    sys.stdout.write(report.json(values, KEYS) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
