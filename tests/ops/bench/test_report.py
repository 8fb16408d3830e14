"""The report: exactly the promised keys, in their order, beside what is to be reached."""

import json
from io import StringIO

import pytest
from rich.console import Console

from ops.bench import report
from ops.bench.report import Value

PROMISED = [
    "limit_orders_per_s",
    "accepted_per_s",
    "settled_per_s",
    "settled_ratio",
    "hot_sku_ratio",
    "auth_ratio",
    "outside_settled_per_s",
    "cpu_ms_per_order",
    "cpu_ms_per_order_total",
    "rss_mb",
    "accept_p50_ms",
    "accept_p99_ms",
    "lone_settle_p50_ms",
    "lone_settle_p99_ms",
    "idle_cpu_percent",
]
BY_PROCESS: dict[str, Value] = {
    "cpu_ms_per_order": {"web": 0.5},
    "rss_mb": {"web": 88.04, "worker": 97.0},
}


def shown(values: dict[str, Value]) -> dict[str, str]:
    out = StringIO()
    Console(file=out, width=120).print(report.table(values))
    lines = [line.strip("│ \n") for line in out.getvalue().splitlines()]
    return {line.split(" ")[0]: line for line in lines}


def test_json_has_the_promised_keys_in_their_order() -> None:
    values: dict[str, Value] = {"only shown": 1.0, **dict.fromkeys(reversed(PROMISED), 1.0)}
    values |= BY_PROCESS

    assert list(json.loads(report.json(values))) == PROMISED


def test_phases_left_out_are_missing() -> None:
    assert json.loads(report.json({"accepted_per_s": 1234.56})) == {"accepted_per_s": 1234.6}


@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("settled_ratio", 0.8, "reached"),
        ("settled_ratio", 0.79, "missed"),
        ("hot_sku_ratio", 0.69, "missed"),
        ("auth_ratio", 0.85, "reached"),
        ("auth_ratio", 0.84, "missed"),
        ("cpu_ms_per_order_total", 2.5, "reached"),
        ("cpu_ms_per_order_total", 2.51, "missed"),
        ("rss_mb", {"web": 80.0, "worker": 121.0}, "missed"),
        ("rss_mb", {"web": 80.0, "worker": 119.0}, "reached"),
        ("lone_settle_p50_ms", 61.0, "missed"),
        ("idle_cpu_percent", 6.1, "missed"),
        (report.OUTSIDE_RATIO, 0.39, "missed"),
    ],
)
def test_targets_are_those_of_the_issue(key: str, value: Value, verdict: str) -> None:
    assert verdict in shown({key: value})[key.split(" ", maxsplit=1)[0]]


def test_numbers_without_a_target_are_not_judged() -> None:
    line = shown({"accept_p50_ms": 12.0})["accept_p50_ms"]

    assert "12.0" in line
    assert "reached" not in line
    assert "missed" not in line
