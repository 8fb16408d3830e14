"""The course of the bench: which phase follows which."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import msgspec

from ops.bench import phases
from ops.bench.findings import Ceiling, Findings, ours, summary
from ops.bench.limit import limit
from ops.bench.phases import Carried
from ops.bench.report import Value
from ops.bench.rig import Rig, frozen, ground, rig
from ops.bench.usage import spent
from ops.bench.workload import Workload

PHASES = "abcdefg"
ROUNDS = 3
ORDERS = 5_000
CONNECTIONS = 32
WARM_UP_ORDERS = 1_000
LIMIT_CLIENTS = 8
LIMIT_S = 6


class Course(msgspec.Struct, frozen=True):
    """What to run; `tell` takes a line for whoever watches."""

    only: frozenset[str]
    rounds: int
    state: Path
    tell: Callable[[str], None]
    # Each workload has its own, as a key that comes again gets the first answer again.
    seeds: Iterator[int] = msgspec.field(default_factory=lambda: count(1))


async def run(course: Course) -> dict[str, Value]:
    """Run the phases and sum them up. Raises CannotStart, or Lost if the platform failed."""
    course.state.mkdir(parents=True, exist_ok=True)
    log_file = course.state / "platform.log"
    course.tell(f"Logs of the processes: {log_file}")
    found = Findings()
    with log_file.open("w") as log:

        def say(name: str, line: str) -> None:
            print(name, line, sep=" | ", file=log)

        async with ground(course.state, say) as on:
            if course.only - {"d"}:
                async with rig(on, outside=False) as bench:
                    await _inside(course, found, bench)
            if "d" in course.only:
                async with rig(on, outside=True) as bench:
                    await _outside(course, found, bench)
    return summary(found)


async def _inside(course: Course, found: Findings, bench: Rig) -> None:
    if "a" in course.only:
        found.lone_limits.append(await _limit(course, bench, clients=1))
    if course.only & {"b", "c", "e", "g"}:
        await phases.carry(
            bench, _orders(next(course.seeds), bench.api_keys, orders=WARM_UP_ORDERS)
        )
    # In turns, so that what else the machine does falls on all alike.
    for _ in range(course.rounds):
        if "a" in course.only:
            found.limits.append(await _limit(course, bench, clients=LIMIT_CLIENTS))
        if "b" in course.only:
            found.plain.append(await _carry(course, "b", bench))
        if "g" in course.only:
            found.anonymous.append(await _carry(course, "g", bench, known=False))
        if "c" in course.only:
            found.hot.append(await _carry(course, "c", bench, hot=True))
    await _quiet(course, found, bench)


async def _quiet(course: Course, found: Findings, bench: Rig) -> None:
    if "e" in course.only:
        found.lone = await phases.lone(bench, seed=next(course.seeds))
        course.tell(f"e  lone orders settled in {found.lone.settle_p50_ms:.0f} ms (p50)")
    if "f" in course.only:
        found.idle = await phases.idle(bench)
        course.tell(f"f  idle: {ours(found.idle):.1f} % of one core")


async def _outside(course: Course, found: Findings, bench: Rig) -> None:
    await phases.carry(bench, _orders(next(course.seeds), bench.api_keys, orders=WARM_UP_ORDERS))
    for _ in range(course.rounds):
        found.outside.append(await _carry(course, "d", bench))


def _orders(
    seed: int, api_keys: Sequence[str], *, orders: int = ORDERS, hot: bool = False
) -> Workload:
    return Workload(orders=orders, connections=CONNECTIONS, seed=seed, hot=hot, api_keys=api_keys)


async def _limit(course: Course, bench: Rig, *, clients: int) -> Ceiling:
    await bench.tidy()
    before = bench.usages()
    with frozen(bench.platform):
        found = await limit(bench.limit_url, clients=clients, seconds=LIMIT_S)
    cpu_s = spent(before, bench.usages())["postgres"]
    course.tell(f"a  limit with {clients} clients: {found.orders_per_s:,.0f} orders/s")
    return Ceiling(found.orders_per_s, 1000 * cpu_s / found.orders)


async def _carry(
    course: Course, phase: str, bench: Rig, *, hot: bool = False, known: bool = True
) -> Carried:
    api_keys = bench.api_keys if known else ()
    found = await phases.carry(bench, _orders(next(course.seeds), api_keys, hot=hot))
    course.tell(
        f"{phase}  accepted {found.accepted_per_s:,.0f}/s, settled {found.settled_per_s:,.0f}/s, "
        f"{sum(found.cpu_ms_per_order.values()):.2f} ms of CPU an order"
    )
    return found
