"""The metrics are what their table says: names, types, labels and units, in both directions."""

import re
from pathlib import Path

import pytest

from ops.telemetry import table
from ops.telemetry.metrics import COUNTED, SYSTEM, Observed

ROOT = Path(__file__).parents[3]
ALL = {**COUNTED, **SYSTEM}


def test_every_metric_is_counted_somewhere() -> None:
    """The name of each in metrics.py is used by another file."""
    source = (ROOT / "ops/telemetry/metrics.py").read_text()
    names = re.findall(r"^(\w+) = _(?:counter|histogram|gauge)\(", source, re.MULTILINE)
    files = [p for room in ("api", "db", "workers", "ops") for p in (ROOT / room).rglob("*.py")]
    used = "\n".join(path.read_text() for path in files)

    assert len(names) == len(COUNTED)
    assert [name for name in names if f"metrics.{name}" not in used] == []


def test_page_of_metrics_is_that_of_the_code() -> None:
    written = (ROOT / "docs/metrics.md").read_text()

    assert written == table.page(), "python -m ops.telemetry.table > docs/metrics.md"


@pytest.mark.parametrize("name", ALL)
def test_name_follows_the_conventions_of_prometheus(name: str) -> None:
    assert re.fullmatch(r"orderflow(_[a-z]+)+", name)
    assert name.endswith("_total") == (ALL[name].type == "counter")
    assert not re.search(r"_(counter|gauge|histogram|ms|minutes|percent)(_|$)", name)
    assert name.endswith(("_seconds", "_size")) or ALL[name].type != "histogram"


def test_group_is_observed_as_each_of_its_members_would_be() -> None:
    values = [0.0, 0.001, 0.0011, 0.3, 0.3, 20.0]
    alone, together = (Observed(f"test_{name}_seconds", "", registry=None) for name in "ab")

    for value in values:
        alone.observe(value)
    together.observe_many(values)

    def samples(histogram: Observed) -> list[tuple[str, dict[str, str], float]]:
        [metric] = histogram.collect()
        of = str(metric.name)
        return [(s.name.removeprefix(of), s.labels, s.value) for s in metric.samples]

    assert samples(together) == samples(alone)
