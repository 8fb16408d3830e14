import os
import subprocess
import sys
from pathlib import Path

from ops.storm.faults.zombies import overtaken

COUNTING = """
from ops.telemetry import metrics
metrics.tasks_overtaken.labels(kind="charge").inc(3)
metrics.tasks_overtaken.labels(kind="notify").inc()
metrics.mails.labels(outcome="sent").inc()
"""


def test_results_that_were_refused_are_counted_of_all_processes(tmp_path: Path) -> None:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        _ = subprocess.run([sys.executable, "-c", COUNTING], env=environ, check=True)  # noqa: S603 - our own words

    assert overtaken(str(tmp_path)) == 8
