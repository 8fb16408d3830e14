"""The text that Prometheus scrapes: counts of processes and readings of the system."""

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import (
    MultiProcessCollector,
    mark_process_dead,  # pyright: ignore[reportUnknownVariableType] - untyped there
)
from prometheus_client.registry import Collector

from ops.config import VERSION
from ops.telemetry.metrics import SYSTEM

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Gauge name -> label values -> reading.
Readings = Mapping[str, Mapping[tuple[str, ...], float]]


@final
class _System(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        for name, samples in self._readings.items():
            gauge = SYSTEM[name]
            family = GaugeMetricFamily(name, gauge.about, labels=gauge.labels)
            for values, reading in samples.items():
                family.add_metric(values, reading)
            yield family


@final
class _Machine(Collector):
    """What the processes of this machine count, those that are gone included."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._counted = MultiProcessCollector(None, path=folder)

    def collect(self) -> Iterator[Metric]:
        forget_the_dead(self._folder)
        yield from self._counted.collect()


def exposition(readings: Readings) -> bytes:
    """Text for Prometheus: the counts of all processes of this machine, then the readings.

    It reads files: call it off the event loop. Other processes are seen if
    PROMETHEUS_MULTIPROC_DIR was set before `metrics` was first imported.

    Raises KeyError for a reading that SYSTEM does not name.
    """
    return generate_latest(registry(readings))


def registry(readings: Readings) -> CollectorRegistry:
    """Give what is scraped; counts are read anew by each scrape, `readings` are as they are."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    made = CollectorRegistry()
    made.register(_Machine(folder) if folder else REGISTRY)
    made.register(_System(readings))
    return made


def build_info(revision: str) -> Readings:
    """Read what runs here."""
    return {"orderflow_build_info": {(VERSION, revision, platform.python_version()): 1}}


def forget_the_dead(folder: str) -> None:
    """Take the live gauges of processes that are gone out of the sums; their counts stay.

    Who is killed cannot do so, and the folder is of one machine: its processes can be seen here.
    """
    for file in Path(folder).glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, folder)
        except PermissionError:
            continue
