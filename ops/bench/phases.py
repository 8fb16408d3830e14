"""The phases of the bench: orders under load, a lone order, and nothing at all."""

import asyncio
import random
import statistics
import time
from collections.abc import Mapping, Sequence

import msgspec

from ops.bench import books, workload
from ops.bench.connection import Answer, Connection
from ops.bench.load import Order, fire, loader, order_id
from ops.bench.rig import OURS, Rig
from ops.bench.usage import spent
from ops.bench.workload import Lost, Workload

LONE_ORDERS = 200
# A lone order is looked for this often; what is measured is late by half of it on average.
LONE_POLL_S = 0.002
LONE_WITHIN_S = 30.0
# A pause of up to this before each, so that no order falls into step with a timer.
LONE_PAUSE_MAX_S = 0.1
IDLE_S = 20.0
# Before that, for what the last orders set off: caches written, connections given back.
REST_S = 2.0

_LATE = 98  # of the 99 cuts into hundredths


class Carried(msgspec.Struct, frozen=True):
    """Orders that all were accepted, paid and told of; processor time and memory by process."""

    accepted_per_s: float
    settled_per_s: float
    accept_p50_ms: float
    accept_p99_ms: float
    cpu_ms_per_order: Mapping[str, float]
    rss_mb: Mapping[str, float]
    load_cpu_ms: float


class Lone(msgspec.Struct, frozen=True):
    """From sending an order that is alone to its answer, to finding it paid, and settled."""

    accept_p50_ms: float
    paid_p50_ms: float
    settle_p50_ms: float
    settle_p99_ms: float


class _Took(msgspec.Struct):
    accept_s: float
    paid_s: float | None = None
    settle_s: float | None = None


async def carry(on: Rig, load: Workload) -> Carried:
    """Send orders and wait until the last is paid and told of. Raises Lost if one is not."""
    order = Order(on.host, on.port, load)
    async with books.opened(on.database_url) as connection, loader(order) as process:
        await on.tidy()
        before = on.usages()
        report = await fire(process)
        settled = await books.settled(connection)
        after = on.usages()
    await books.check(on.database_url, report.order_ids)
    p50_ms, p99_ms = _p50_p99_ms(report.latencies_s)
    cpu_s = spent(before, after)
    return Carried(
        accepted_per_s=load.orders / (report.ended - report.began),
        settled_per_s=load.orders / (settled - report.began),
        accept_p50_ms=p50_ms,
        accept_p99_ms=p99_ms,
        cpu_ms_per_order={name: 1000 * s / load.orders for name, s in cpu_s.items()},
        rss_mb={name: after[name].rss_mb for name in OURS},
        load_cpu_ms=1000 * report.cpu_s / load.orders,
    )


async def lone(on: Rig, *, seed: int) -> Lone:
    """Place orders one after the other, each when the one before is settled."""
    load = Workload(orders=LONE_ORDERS, connections=1, seed=seed, api_keys=on.api_keys)
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    took: list[_Took] = []
    await on.tidy()
    async with books.opened(on.database_url) as connection:
        for request in workload.requests(load):
            await asyncio.sleep(chance.uniform(0, LONE_PAUSE_MAX_S))
            took.append(await _settle_one(on, connection, request))
    settle_p50_ms, settle_p99_ms = _p50_p99_ms([one.settle_s or 0.0 for one in took])
    return Lone(
        accept_p50_ms=1000 * statistics.median(one.accept_s for one in took),
        paid_p50_ms=1000 * statistics.median(one.paid_s or 0.0 for one in took),
        settle_p50_ms=settle_p50_ms,
        settle_p99_ms=settle_p99_ms,
    )


async def idle(on: Rig) -> dict[str, float]:
    """Do nothing; returns what each process type took, in percent of one core."""
    await asyncio.sleep(REST_S)
    before, began = on.usages(), time.monotonic()
    await asyncio.sleep(IDLE_S)
    after, ended = on.usages(), time.monotonic()
    return {name: 100 * s / (ended - began) for name, s in spent(before, after).items()}


async def _settle_one(on: Rig, connection: books.Connection, request: bytes) -> _Took:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Answer | None] = loop.create_future()
    _, http = await loop.create_connection(
        lambda: Connection(lambda _, answer: answered.set_result(answer)), on.host, on.port
    )
    began = time.monotonic()
    http.send(request)
    placed = order_id(await answered)
    took = _Took(accept_s=time.monotonic() - began)
    while took.settle_s is None:
        paid, told = await books.progress(connection, placed)
        elapsed = time.monotonic() - began
        if paid:
            took.paid_s = took.paid_s or elapsed
        if paid and told:
            took.settle_s = elapsed
        elif elapsed > LONE_WITHIN_S:
            raise Lost(f"The lone order {placed} is not settled after {LONE_WITHIN_S:.0f} s.")
        await asyncio.sleep(LONE_POLL_S)
    http.close()
    return took


def _p50_p99_ms(seconds: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return 1000 * statistics.median(seconds), 1000 * cuts[_LATE]
