import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ops.telemetry import exposition, metrics

COUNT = "from ops.telemetry import metrics; metrics.mails.labels('sent').inc(2)"
SCRAPE = "from ops.telemetry import exposition as e; print(e.exposition({}).decode())"


def samples(text: str) -> dict[tuple[str, frozenset[str]], float]:
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_this_process_counted_is_exposed() -> None:
    sent = "orderflow_rings_total", frozenset({"reserve", "sent"})
    before = samples(exposition.exposition({}).decode()).get(sent, 0)

    metrics.rings.labels("reserve", "sent").inc()

    after = samples(exposition.exposition({}).decode())
    assert after[sent] == before + 1


def test_readings_of_the_system_are_gauges() -> None:
    text = exposition.exposition(
        {
            "orderflow_orders": {("review",): 7},
            "orderflow_tasks": {("payments", "ready"): 2, ("payments", "dead"): 0},
        }
    ).decode()

    found = samples(text)
    assert "# TYPE orderflow_orders gauge" in text
    assert found["orderflow_orders", frozenset({"review"})] == 7
    assert found["orderflow_tasks", frozenset({"payments", "ready"})] == 2
    assert found["orderflow_tasks", frozenset({"payments", "dead"})] == 0


def test_a_reading_without_a_description_is_refused() -> None:
    with pytest.raises(KeyError, match="surprise"):
        _ = exposition.exposition({"surprise": {(): 1}})


def test_processes_are_summed_and_the_dead_are_not_forgotten(tmp_path: Path) -> None:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        _ = subprocess.run([sys.executable, "-c", COUNT], env=environ, check=True)  # noqa: S603 - our own words

    scraped = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", SCRAPE], env=environ, check=True, capture_output=True, text=True
    )

    assert samples(scraped.stdout)["orderflow_mails_total", frozenset({"sent"})] == 4


def test_gauge_of_a_process_that_was_killed_leaves_the_sum_at_the_next_scrape(
    tmp_path: Path,
) -> None:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "made")}
    watch = "from ops.telemetry import metrics; metrics.sse_clients.inc(3); "
    for last in ("", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"):
        _ = subprocess.run([sys.executable, "-c", watch + last], env=environ, check=False)  # noqa: S603 - our own words

    scraped = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", SCRAPE], env=environ, check=True, capture_output=True, text=True
    )

    assert samples(scraped.stdout)["orderflow_sse_clients", frozenset()] == 0
