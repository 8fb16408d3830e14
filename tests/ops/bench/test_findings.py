"""The findings: medians of the rounds, ratios of medians, and nothing of phases left out."""

from ops.bench.findings import Ceiling, Findings, summary
from ops.bench.phases import Carried, Lone
from ops.bench.report import KEYS


def carried(settled_per_s: float, *, web_rss_mb: float = 80.0) -> Carried:
    return Carried(
        accepted_per_s=2 * settled_per_s,
        settled_per_s=settled_per_s,
        accept_p50_ms=10.0,
        accept_p99_ms=20.0,
        cpu_ms_per_order={"web": 0.5, "worker": 0.25, "clock": 0.0, "postgres": 1.0, "valkey": 0.0},
        rss_mb={"web": web_rss_mb, "worker": 70.0, "clock": 60.0},
        load_cpu_ms=0.05,
    )


def test_all_phases_give_all_keys() -> None:
    found = Findings(
        lone_limits=[Ceiling(100.0, 2.0)],
        limits=[Ceiling(400.0, 2.0), Ceiling(1000.0, 1.5), Ceiling(500.0, 2.5)],
        plain=[carried(900.0), carried(600.0), carried(100.0)],
        hot=[carried(450.0)],
        anonymous=[carried(800.0)],
        outside=[carried(300.0, web_rss_mb=90.0)],
        lone=Lone(accept_p50_ms=4.0, paid_p50_ms=20.0, settle_p50_ms=30.0, settle_p99_ms=50.0),
        idle={"web": 0.0, "worker": 1.0, "clock": 0.5, "postgres": 3.0, "valkey": 2.0},
    )

    values = summary(found)

    assert set(KEYS) <= set(values)
    assert values["limit_orders_per_s"] == 500.0
    assert values["settled_per_s"] == 600.0
    assert values["settled_ratio"] == 1.2
    assert values["hot_sku_ratio"] == 0.75
    assert values["auth_ratio"] == 0.75
    assert values["outside_settled_per_s"] == 300.0
    assert values["cpu_ms_per_order_total"] == 1.75
    assert values["rss_mb"] == {"web": 90.0, "worker": 70.0, "clock": 60.0}
    assert values["idle_cpu_percent"] == 1.5


def test_phases_left_out_give_no_keys() -> None:
    values = summary(Findings(limits=[Ceiling(400.0, 2.0)]))

    assert set(values) == {"limit_orders_per_s", "limit, ms of Postgres an order"}
