"""What was measured, beside what is to be reached: a table for people, JSON for programs."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from rich.table import Table

Value = float | Mapping[str, float]


class Target(msgspec.Struct, frozen=True):
    text: str
    is_reached: Callable[[float], bool]


def at_least(bound: float) -> Target:
    """Set a target that larger values reach."""
    return Target(f"≥ {bound:g}", lambda value: value >= bound)


def at_most(bound: float) -> Target:
    """Set a target that smaller values reach."""
    return Target(f"≤ {bound:g}", lambda value: value <= bound)


# Every key of the JSON, in its order; of those by process type the largest value counts.
KEYS: Mapping[str, Target | None] = {
    "limit_orders_per_s": None,
    "accepted_per_s": None,
    "settled_per_s": None,
    "settled_ratio": at_least(0.8),
    "hot_sku_ratio": at_least(0.7),
    "auth_ratio": at_least(0.85),
    "outside_settled_per_s": None,
    "cpu_ms_per_order": None,
    "cpu_ms_per_order_total": at_most(2.5),
    "rss_mb": at_most(120),
    "accept_p50_ms": None,
    "accept_p99_ms": None,
    "lone_settle_p50_ms": at_most(60),
    "lone_settle_p99_ms": None,
    "idle_cpu_percent": at_most(6),
}
# Shown only: what follows from the keys, and what explains them.
OUTSIDE_RATIO = "outside_settled_per_s / settled_per_s"
_MORE: Mapping[str, Target | None] = {OUTSIDE_RATIO: at_least(0.4)}


def table(
    values: Mapping[str, Value],
    targets: Mapping[str, Target | None] | None = None,
    title: str = "Orderflow bench",
) -> Table:
    """Lay out what was measured, what was to be reached, and whether it was."""
    known = {**KEYS, **_MORE} if targets is None else targets
    made = Table(title=title, title_justify="left")
    made.add_column("measured")
    made.add_column("value", justify="right")
    made.add_column("target", justify="right")
    made.add_column("")
    for key, value in values.items():
        made.add_row(key, _shown(value), *_judged(known.get(key), value))
    return made


def json(values: Mapping[str, Value], keys: Iterable[str] = KEYS) -> str:
    """Encode the keys of a bench; those of phases that were left out are missing."""
    return msgspec.json.encode({k: _rounded(values[k]) for k in keys if k in values}).decode()


def _judged(target: Target | None, value: Value) -> tuple[str, str]:
    if target is None:
        return "", ""
    reached = target.is_reached(max(_numbers(value)))
    return target.text, "[green]reached[/]" if reached else "[red]missed[/]"


def _numbers(value: Value) -> Sequence[float]:
    return list(value.values()) if isinstance(value, Mapping) else [value]


def _shown(value: Value) -> str:
    rounded = _rounded(value)
    if isinstance(rounded, Mapping):
        return "\n".join(f"{name} {number:,}" for name, number in rounded.items())
    return f"{rounded:,}"


def _rounded(value: Value) -> Value:
    """Round to three figures after the point, or to one where that is more than is known."""
    if isinstance(value, Mapping):
        return {name: _round(number) for name, number in value.items()}
    return _round(value)


def _round(number: float) -> float:
    return round(number, 3 if abs(number) < 10 else 1)  # noqa: PLR2004 - see `_rounded`
