"""The course of the bench: which phase follows which, and what becomes of their numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from statistics import median

import msgspec

from ops.bench import books, phases
from ops.bench.limit import limit
from ops.bench.phases import Carried
from ops.bench.report import OUTSIDE_RATIO, Value
from ops.bench.rig import OURS, Ground, Rig, frozen, ground, rig
from ops.bench.workload import Workload

PHASES = "abcdef"
ROUNDS = 3
ORDERS = 5_000
CONNECTIONS = 32
WARM_UP_ORDERS = 1_000
LIMIT_CLIENTS = 8
LIMIT_S = 8


class Course(msgspec.Struct, frozen=True):
    """What to run; `tell` takes a line for whoever watches."""

    only: frozenset[str]
    rounds: int
    state: Path
    tell: Callable[[str], None]
    # Each workload has its own, as a key that comes again gets the first answer again.
    seeds: Iterator[int] = msgspec.field(default_factory=lambda: count(1))


class Findings(msgspec.Struct):
    """Results by phase, one of each round."""

    lone_limits: list[float] = msgspec.field(default_factory=list[float])
    limits: list[float] = msgspec.field(default_factory=list[float])
    plain: list[Carried] = msgspec.field(default_factory=list[Carried])
    hot: list[Carried] = msgspec.field(default_factory=list[Carried])
    outside: list[Carried] = msgspec.field(default_factory=list[Carried])
    lone: phases.Lone | None = None
    idle: Mapping[str, float] | None = None


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
                    await _inside(course, found, on, bench)
            if "d" in course.only:
                async with rig(on, outside=True) as bench:
                    await _outside(course, found, bench)
    return summary(found)


async def _inside(course: Course, found: Findings, on: Ground, bench: Rig) -> None:
    if "a" in course.only:
        found.lone_limits.append(await _limit(course, on, bench, clients=1))
    if course.only & {"b", "c"}:
        await phases.carry(bench, _orders(next(course.seeds), orders=WARM_UP_ORDERS))
    # In turns, so that what else the machine does falls on all alike.
    for _ in range(course.rounds):
        if "a" in course.only:
            found.limits.append(await _limit(course, on, bench, clients=LIMIT_CLIENTS))
        if "b" in course.only:
            found.plain.append(await _carry(course, "b", bench))
        if "c" in course.only:
            found.hot.append(await _carry(course, "c", bench, hot=True))
    await _quiet(course, found, bench)


async def _quiet(course: Course, found: Findings, bench: Rig) -> None:
    if "e" in course.only:
        found.lone = await phases.lone(bench, seed=next(course.seeds))
        course.tell(f"e  lone orders settled in {found.lone.p50_ms:.0f} ms (p50)")
    if "f" in course.only:
        found.idle = await phases.idle(bench)
        course.tell(f"f  idle: {_ours(found.idle):.1f} % of one core")


async def _outside(course: Course, found: Findings, bench: Rig) -> None:
    await phases.carry(bench, _orders(next(course.seeds), orders=WARM_UP_ORDERS))
    for _ in range(course.rounds):
        found.outside.append(await _carry(course, "d", bench))


def _orders(seed: int, *, orders: int = ORDERS, hot: bool = False) -> Workload:
    return Workload(orders=orders, connections=CONNECTIONS, seed=seed, hot=hot)


async def _limit(course: Course, on: Ground, bench: Rig, *, clients: int) -> float:
    await books.checkpoint(on.limit_url)
    with frozen(bench.platform):
        found = await limit(on.limit_url, clients=clients, seconds=LIMIT_S)
    course.tell(f"a  limit with {clients} clients: {found:,.0f} orders/s")
    return found


async def _carry(course: Course, phase: str, bench: Rig, *, hot: bool = False) -> Carried:
    found = await phases.carry(bench, _orders(next(course.seeds), hot=hot))
    course.tell(
        f"{phase}  accepted {found.accepted_per_s:,.0f}/s, settled {found.settled_per_s:,.0f}/s, "
        f"{sum(found.cpu_ms_per_order.values()):.2f} ms of CPU an order"
    )
    return found


def summary(found: Findings) -> dict[str, Value]:
    """Take the median of the rounds; the keys first, then what is only shown."""
    plain, hot = _settled(found.plain), _settled(found.hot)
    limits, outside = _median(found.limits), _settled(found.outside)
    cpu = _by_process([one.cpu_ms_per_order for one in found.plain])
    values = {
        "limit_orders_per_s": limits,
        "accepted_per_s": _median([one.accepted_per_s for one in found.plain]),
        "settled_per_s": plain,
        "settled_ratio": plain and limits and plain / limits,
        "hot_sku_ratio": plain and hot and hot / plain,
        "outside_settled_per_s": outside,
        "cpu_ms_per_order": cpu,
        "cpu_ms_per_order_total": sum(cpu.values()) if cpu else None,
        "rss_mb": _largest([*found.plain, *found.hot, *found.outside]),
        "accept_p50_ms": _median([one.accept_p50_ms for one in found.plain]),
        "accept_p99_ms": _median([one.accept_p99_ms for one in found.plain]),
        "lone_settle_p50_ms": found.lone and found.lone.p50_ms,
        "lone_settle_p99_ms": found.lone and found.lone.p99_ms,
        "idle_cpu_percent": found.idle and _ours(found.idle),
        OUTSIDE_RATIO: plain and outside and outside / plain,
        "limit with 1 client": _median(found.lone_limits),
        "idle_cpu_percent by process": found.idle,
        "load client, cpu_ms_per_order": _median(
            [one.load_cpu_ms_per_order for one in found.plain]
        ),
    }
    return {key: value for key, value in values.items() if value not in (None, {})}


def _settled(rounds: Sequence[Carried]) -> float | None:
    return _median([one.settled_per_s for one in rounds])


def _median(numbers: Sequence[float]) -> float | None:
    return median(numbers) if numbers else None


def _by_process(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: median([one[name] for one in rounds]) for name in (rounds[0] if rounds else ())}


def _largest(rounds: Sequence[Carried]) -> dict[str, float]:
    return {name: max(one.rss_mb[name] for one in rounds) for name in OURS if rounds}


def _ours(percent: Mapping[str, float]) -> float:
    return sum(percent[name] for name in OURS)
