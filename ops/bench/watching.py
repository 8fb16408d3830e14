"""A member of staff before the dashboard: asks for pages, and watches the overview."""

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp
import msgspec

from ops.bench.workload import Lost

OVERVIEW = "/ops"
_LIVE = "/ops/live"
# What a browser says of a form of the page itself.
_FROM_HERE = {"Sec-Fetch-Site": "same-origin"}
_LATE = 94  # of the 99 cuts into hundredths
# The first finds nothing in any cache: it is told of, and does not count.
WARM_UP = 3
# Several times what a page may take.
_WITHIN_S = 30.0


class Took(msgspec.Struct, frozen=True):
    """Milliseconds of a page: of the very first request, and of those that count."""

    first_ms: float
    p50_ms: float
    p95_ms: float


@asynccontextmanager
async def logged_in(url: str, email: str, password: str) -> AsyncGenerator[aiohttp.ClientSession]:
    """Open a browser of sorts, and log in. Raises Lost if that is refused."""
    # Cookies of a bare address are kept only if one says so.
    jar = aiohttp.CookieJar(unsafe=True)
    # A stream stays open for good; pages have their own limit.
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        url, cookie_jar=jar, timeout=timeout, connector=aiohttp.TCPConnector(limit=0)
    ) as browser:
        form = {"email": email, "password": password}
        async with browser.post(
            f"{OVERVIEW}/login", data=form, headers=_FROM_HERE, allow_redirects=False
        ) as answer:
            if answer.status != HTTPStatus.SEE_OTHER:
                raise Lost(f"Nobody is let in: {answer.status}")
        yield browser


async def ask(browser: aiohttp.ClientSession, address: str, *, times: int) -> Took:
    """Ask for a page so often, one request after the other. Raises Lost if it is none."""
    took_ms = [await _once(browser, address) for _ in range(WARM_UP + times)]
    counted = took_ms[WARM_UP:]
    cuts = statistics.quantiles(counted, n=100, method="inclusive")
    return Took(took_ms[0], statistics.median(counted), cuts[_LATE])


async def _once(browser: aiohttp.ClientSession, address: str) -> float:
    began = time.perf_counter()
    timeout = aiohttp.ClientTimeout(total=_WITHIN_S)
    async with browser.get(address, allow_redirects=False, timeout=timeout) as answer:
        text = await answer.text()
        if answer.status != HTTPStatus.OK or "</html>" not in text:
            raise Lost(f"{address} is answered with {answer.status}.")
    return 1000 * (time.perf_counter() - began)


class Watched(msgspec.Struct):
    """What one watcher saw."""

    fragments: int = 0


@asynccontextmanager
async def watching(
    browser: aiohttp.ClientSession, *, people: int
) -> AsyncGenerator[Sequence[Watched]]:
    """Have so many people watch the overview. Raises Lost at the end if one saw nothing move."""
    seen = [Watched() for _ in range(people)]
    tasks = [asyncio.create_task(_watch(browser, one)) for one in seen]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if not isinstance(error, asyncio.CancelledError):
            raise Lost(f"A stream ended: {error}")
    if not all(one.fragments for one in seen):
        raise Lost("Somebody who watched the overview saw nothing.")


async def _watch(browser: aiohttp.ClientSession, seen: Watched) -> None:
    async with browser.get(_LIVE, params={"page": OVERVIEW}) as answer:
        if answer.status != HTTPStatus.OK:
            raise Lost(f"Nobody may watch: {answer.status}")
        async for line in answer.content:
            seen.fragments += line == b"event: fragment\n"
