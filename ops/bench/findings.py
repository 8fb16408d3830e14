"""What the phases found, and what becomes of their numbers."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec

from ops.bench.phases import Carried, Lone
from ops.bench.report import OUTSIDE_RATIO, Value
from ops.bench.rig import OURS


class Ceiling(msgspec.Struct, frozen=True):
    """The limit, and what an order took of Postgres there."""

    orders_per_s: float
    postgres_ms_per_order: float


class Findings(msgspec.Struct):
    """Results by phase, one of each round."""

    lone_limits: list[Ceiling] = msgspec.field(default_factory=list[Ceiling])
    limits: list[Ceiling] = msgspec.field(default_factory=list[Ceiling])
    plain: list[Carried] = msgspec.field(default_factory=list[Carried])
    hot: list[Carried] = msgspec.field(default_factory=list[Carried])
    anonymous: list[Carried] = msgspec.field(default_factory=list[Carried])
    outside: list[Carried] = msgspec.field(default_factory=list[Carried])
    lone: Lone | None = None
    idle: Mapping[str, float] | None = None


def summary(found: Findings) -> dict[str, Value]:
    """Take the median of the rounds; the keys first, then what is only shown."""
    values = {**_under_load(found), **_alone(found), **_shown_only(found)}
    return {key: value for key, value in values.items() if value not in (None, {})}


def _under_load(found: Findings) -> dict[str, Value | None]:
    limit_per_s = _median(one.orders_per_s for one in found.limits)
    plain, hot = _settled(found.plain), _settled(found.hot)
    cpu = _by_process([one.cpu_ms_per_order for one in found.plain])
    return {
        "limit_orders_per_s": limit_per_s,
        "accepted_per_s": _median(one.accepted_per_s for one in found.plain),
        "settled_per_s": plain,
        "settled_ratio": _ratio(plain, limit_per_s),
        "hot_sku_ratio": _ratio(hot, plain),
        "auth_ratio": _ratio(plain, _settled(found.anonymous)),
        "outside_settled_per_s": _settled(found.outside),
        "cpu_ms_per_order": cpu,
        "cpu_ms_per_order_total": sum(cpu.values()) if cpu else None,
        "rss_mb": _largest([*found.plain, *found.hot, *found.outside]),
        "accept_p50_ms": _median(one.accept_p50_ms for one in found.plain),
        "accept_p99_ms": _median(one.accept_p99_ms for one in found.plain),
    }


def _alone(found: Findings) -> dict[str, Value | None]:
    return {
        "lone_settle_p50_ms": found.lone and found.lone.settle_p50_ms,
        "lone_settle_p99_ms": found.lone and found.lone.settle_p99_ms,
        "idle_cpu_percent": found.idle and ours(found.idle),
    }


def _shown_only(found: Findings) -> dict[str, Value | None]:
    return {
        OUTSIDE_RATIO: _ratio(_settled(found.outside), _settled(found.plain)),
        "hot_settled_per_s": _settled(found.hot),
        "anonymous_settled_per_s": _settled(found.anonymous),
        "anonymous, ms of CPU an order": _median(
            sum(one.cpu_ms_per_order.values()) for one in found.anonymous
        ),
        "limit_orders_per_s, 1 client": _median(one.orders_per_s for one in found.lone_limits),
        "limit, ms of Postgres an order": _median(
            one.postgres_ms_per_order for one in found.limits
        ),
        "load client, ms of CPU an order": _median(one.load_cpu_ms for one in found.plain),
        "lone order, accept_p50_ms": found.lone and found.lone.accept_p50_ms,
        "lone order, paid_p50_ms": found.lone and found.lone.paid_p50_ms,
        "idle, % of a core": found.idle,
    }


def _settled(rounds: Sequence[Carried]) -> float | None:
    return _median(one.settled_per_s for one in rounds)


def _median(numbers: Iterable[float]) -> float | None:
    known = list(numbers)
    return median(known) if known else None


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part and whole else None


def _by_process(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: median(one[name] for one in rounds) for name in (rounds[0] if rounds else ())}


def _largest(rounds: Sequence[Carried]) -> dict[str, float]:
    return {name: max(one.rss_mb[name] for one in rounds) for name in OURS if rounds}


def ours(percent: Mapping[str, float]) -> float:
    """Sum up the process types that are ours."""
    return sum(percent[name] for name in OURS)
