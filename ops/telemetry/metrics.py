"""Prometheus metrics: what processes count, and the text in which it is scraped."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics import Gauge as ProcessGauge
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST

# A lone order takes milliseconds, a group tens of them; a request ends within its timeouts.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# From one order to GROUP_MAX and what it may be raised to.
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)

http_requests = Counter("http_requests_total", "Answered requests.", ("method", "route", "status"))
http_request_seconds = Histogram(
    "http_request_seconds", "From request to last byte.", ("route",), buckets=_SECONDS
)
orders_moves = Counter("orders_moves_total", "Orders that reached a status.", ("to",))
tasks = Counter("tasks_total", "Attempts at tasks.", ("kind", "outcome"))
tasks_overtaken = Counter(
    "tasks_overtaken_total", "Results that came after somebody took over; unwritten.", ("kind",)
)
group_size = Histogram("group_size", "Members of a group.", ("stage",), buckets=_SIZES)
rings = Counter("rings_total", "Doorbell messages.", ("stage", "outcome"))
gateway_calls = Counter(
    "gateway_calls_total", "Calls to payment gateways.", ("gateway", "operation", "outcome")
)
gateway_call_seconds = Histogram(
    "gateway_call_seconds",
    "From call to answer of a payment gateway.",
    ("gateway", "operation"),
    buckets=_SECONDS,
)
# Of the processes alive on this machine the worst one shows: a breaker open in one is seen.
breaker_state = ProcessGauge(
    "breaker_state",
    "Breaker of a payment gateway: 0 closed, 1 half-open, 2 open.",
    ("gateway",),
    multiprocess_mode="livemax",
)
breaker_transitions = Counter(
    "breaker_transitions_total", "Breakers that changed state.", ("gateway", "to")
)
mails = Counter("mails_total", "Mails handed to the relay.", ("outcome",))


class Gauge(NamedTuple):
    """A reading of the whole system; the database answers it, not one process."""

    about: str
    labels: tuple[str, ...]


SYSTEM: Mapping[str, Gauge] = {
    "findings": Gauge("Open findings by kind.", ("kind",)),
    "orders": Gauge("Orders by status.", ("status",)),
    "orderflow_audit_timestamp_seconds": Gauge(
        "When the auditor had last seen all that had changed; 0 before the first time.", ()
    ),
    "orderflow_audit_round_timestamp_seconds": Gauge(
        "When the auditor had last seen all orders there are; 0 before the first time.", ()
    ),
    "orderflow_invariant_violations": Gauge(
        "Open findings of the auditor by the invariant that is broken.", ("invariant",)
    ),
    "tasks": Gauge("Tasks by queue and state.", ("queue", "state")),
    "tasks_oldest_due_seconds": Gauge("How long the oldest due task has waited.", ("queue",)),
}

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


def exposition(readings: Readings) -> bytes:
    """Text for Prometheus: the counts of all processes of this machine, then the readings.

    It reads files: call it off the event loop. Other processes are seen if
    PROMETHEUS_MULTIPROC_DIR was set before this module was first imported.

    Raises KeyError for a reading that SYSTEM does not name.
    """
    registries: Iterable[CollectorRegistry] = (_processes(), _registry(_System(readings)))
    return b"".join(generate_latest(registry) for registry in registries)


def _processes() -> CollectorRegistry:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    _ = MultiProcessCollector(registry)
    return registry


def _registry(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry
