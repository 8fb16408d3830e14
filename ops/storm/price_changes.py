"""A storm of price changes, in which nobody may see an old price for longer than we say.

`python -m ops.storm.price_changes`, or `make storm-prices`: two web processes, writers that change
prices over HTTP at one, readers of all pages at both, and what they share broken meanwhile. One
has made each change itself, the other has to learn of it. The price is its own stamp: it only
rises, so a page tells which change it has seen.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psycopg
from rich.console import Console

from ops.local.child import Say
from ops.local.interrupt import run_until_told
from ops.local.ports import HOST, ports
from ops.local.state import DEFAULT_STATE, CannotStart
from ops.local.up import Running, platform
from ops.storm.price_faults import FAULTS, Fault
from ops.storm.price_stamps import BOUND_S, OUTAGE_BOUND_S, Stamps

SECONDS = 60.0
SKUS = 20
WRITERS, READERS = 3, 6
# Of each writer and reader: many times what a shop does, and what two cores can do beside it.
WRITE_EVERY_S, READ_EVERY_S = 0.03, 0.005
FAULT_EVERY_S = 2.0
# What the storm has left is over by then.
CALM_S = 1.5
_TIMEOUT_S = 15.0
_PROCFILE = """\
release: alembic upgrade head
web: {web}
twin: {web}
"""
_WEB = (
    "uvicorn api.app:app --host ${HOST} --port %s --ws none --no-access-log --http api.app:http"
    " --no-server-header --no-proxy-headers --timeout-graceful-shutdown 8"
)
_NO_SANDBOX = "echo ready && exec sleep infinity"


class Result(msgspec.Struct, frozen=True):
    """What was seen; `oldest_s` is how long after a change somebody was shown what was before."""

    changes: int
    answers: int
    failed: int
    oldest_s: float
    oldest_in_outage_s: float
    too_old: Sequence[str]
    unconverged: Sequence[str]
    faults: Mapping[str, int]
    hit_rate: float

    @property
    def is_kept(self) -> bool:
        """Tell whether the promise was kept, and something was there to break it."""
        return self.changes > 0 and not self.too_old and not self.unconverged


class Shop:
    """Both web processes, as writers and readers see them."""

    def __init__(self, urls: Sequence[str], key: str, http: aiohttp.ClientSession) -> None:
        self.urls = urls
        self.stamps = Stamps()
        self.failed = 0
        self._staff = {"Authorization": f"Bearer {key}"}
        self._http = http

    async def open(self) -> None:
        """Put up what is for sale: each SKU in a product, and in a list of prices in euros."""
        await self._put("/v1/price-lists/storm", {"currency": "EUR"})
        for n in range(SKUS):
            await self._put(f"/v1/products/p-{n}", {"name": f"Product {n}", "status": "active"})
            await self.change(n, 1)

    async def change(self, n: int, price: int) -> None:
        """Change both prices of a SKU; a change that fails may be one."""
        sku, at = f"SKU-{n}", self.stamps
        body = {"name": sku, "price_minor": price, "currency": "GBP", "product": f"p-{n}"}
        if await self._put(f"/v1/variants/{sku}", body):
            at.changed(f"{sku} GBP", price)
        entry = f"/v1/price-lists/storm/entries/{sku}"
        if await self._put(entry, {"price_minor": price}):
            at.changed(f"{sku} EUR", price)

    async def read(self, base: str, n: int) -> None:
        """Read a page, and note what it says."""
        path, params = random.choice(_PAGES)  # noqa: S311 - no secret
        asked_at = time.monotonic()
        try:
            async with self._http.get(base + path.format(n=n), params=params) as answer:
                content = await answer.json() if answer.ok else None
        except (aiohttp.ClientError, TimeoutError):
            content = None
        if content is None:
            self.failed += 1
            return
        for sku, currency, price in _prices(content):
            self.stamps.shown(f"{sku} {currency}", price, asked_at=asked_at, where=f"{base}{path}")

    async def unconverged(self) -> list[str]:
        """Name the pages that do not show the last price."""
        wrong: list[str] = []
        for base in self.urls:
            for n in range(SKUS):
                for path, params in _PAGES:
                    async with self._http.get(base + path.format(n=n), params=params) as answer:
                        found = list(_prices(await answer.json()))
                    wrong += [
                        f"{base}{path.format(n=n)}: {sku} {currency} at {price}"
                        for sku, currency, price in found
                        if price < self.stamps.last(f"{sku} {currency}")
                    ]
        return wrong

    async def hit_rate(self) -> float:
        """Tell which share of readings the caches answered."""
        async with self._http.get(f"{self.urls[0]}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        counted = {
            name: sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
            for name in ("orderflow_cache_hits_total{", "orderflow_cache_misses_total{")
        }
        hits, misses = counted.values()
        return hits / max(1.0, hits + misses)

    async def _put(self, path: str, body: object) -> bool:
        try:
            async with self._http.put(
                self.urls[0] + path, json=body, headers=self._staff
            ) as answer:
                if not answer.ok and answer.status < 500:  # noqa: PLR2004 - a mistake of ours
                    raise CannotStart(f"{path} got {answer.status}: {await answer.text()}")
                self.failed += not answer.ok
                return answer.ok
        except (aiohttp.ClientError, TimeoutError):
            self.failed += 1
            return False


_PAGES: Sequence[tuple[str, Mapping[str, str]]] = (
    ("/v1/variants/SKU-{n}", {}),
    ("/v1/products/p-{n}", {}),
    ("/v1/products/p-{n}", {"currency": "EUR"}),
    ("/v1/products", {"limit": "50"}),
)


def _prices(content: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Find the prices on a page, whichever it is."""
    products = content.get("products", [content])
    variants = [one for product in products for one in product.get("variants", [product])]
    return [(one["sku"], one["currency"], one["price_minor"]) for one in variants if "sku" in one]


async def run(state: Path, *, seconds: float, faults: Sequence[Fault], say: Say) -> Result:
    """Let the storm rage. Raises CannotStart."""
    async with _two(state, say) as (running, urls), _session() as http:
        shop = Shop(urls, running.admin_api_key, http)
        await shop.open()
        struck = await _storm(shop, running, seconds, faults)
        await asyncio.sleep(CALM_S)
        stamps = shop.stamps
        return Result(
            changes=stamps.changes,
            answers=stamps.answers,
            failed=shop.failed,
            oldest_s=stamps.oldest_s,
            oldest_in_outage_s=stamps.oldest_in_outage_s,
            too_old=stamps.too_old,
            unconverged=await shop.unconverged(),
            faults=struck,
            hit_rate=await shop.hit_rate(),
        )


async def _storm(
    shop: Shop, running: Running, seconds: float, faults: Sequence[Fault]
) -> dict[str, int]:
    struck = dict.fromkeys((fault.name for fault in faults), 0)
    tasks = [asyncio.create_task(_write(shop, n)) for n in range(WRITERS)]
    tasks += [asyncio.create_task(_read(shop, n)) for n in range(READERS)]
    until = time.monotonic() + seconds
    # Each at least once.
    while time.monotonic() < until or not all(struck.values()):
        for fault in faults:
            await asyncio.sleep(FAULT_EVERY_S * random.random())  # noqa: S311 - no secret
            with shop.stamps.outage(fault.is_outage):
                await fault.strike(running)
            struck[fault.name] += 1
        await asyncio.sleep(CALM_S)
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return struck


async def _write(shop: Shop, writer: int) -> None:
    for price in count(2):
        # Each SKU has one writer, so that its price rises.
        for n in range(writer, SKUS, WRITERS):
            await shop.change(n, price)
            await asyncio.sleep(WRITE_EVERY_S)


async def _read(shop: Shop, reader: int) -> None:
    while True:
        await shop.read(shop.urls[reader % 2], random.randrange(SKUS))  # noqa: S311 - no secret
        await asyncio.sleep(READ_EVERY_S)


@asynccontextmanager
async def _two(state: Path, say: Say) -> AsyncGenerator[tuple[Running, Sequence[str]]]:
    environ = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    environ |= {"LOG_LEVEL": "warning"}
    with ports() as free:
        twin = free.near(8300)
        lines = _PROCFILE.format(web=_WEB % "${PORT}").replace(
            "twin: " + _WEB % "${PORT}", "twin: " + _WEB % twin
        )
        async with platform(state, environ, lines=lines, sandbox=_NO_SANDBOX, say=say) as running:
            urls = (running.url, f"http://{HOST}:{twin}")
            await running.fleet.ready("twin", lambda: _answers(urls[1]))
            async with await psycopg.AsyncConnection.connect(
                running.servers.database_url, autocommit=True
            ) as connection:
                # Of an earlier storm, whose prices were higher.
                await connection.execute("TRUNCATE variants, catalogue_products CASCADE")
            yield running, urls


async def _answers(url: str) -> bool:
    try:
        async with _session() as http, http.get(f"{url}/health/ready") as answer:
            return answer.ok
    except (aiohttp.ClientError, TimeoutError):
        return False


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S))


def _quiet(name: str, line: str) -> None:
    del name, line


def main(arguments: Sequence[str]) -> int:
    """Run it, and print a line of JSON; 0 only if nobody saw an old price for too long."""
    parser = argparse.ArgumentParser(prog="python -m ops.storm.price_changes", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE / "storm-prices")
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    console.print(f"Bounds: {BOUND_S:g} s, and {OUTAGE_BOUND_S:g} s while Postgres is away.")
    try:
        result = run_until_told(run(given.state, seconds=given.seconds, faults=FAULTS, say=_quiet))
    except CannotStart as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if result is None:
        return 130
    sys.stdout.write(f"{msgspec.json.encode(result).decode()}\n")
    return 0 if result.is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
