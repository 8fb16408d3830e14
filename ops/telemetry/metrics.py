"""Prometheus metrics: what processes count, and the gauges that describe the whole system.

Import it, or prometheus_client, only once PROMETHEUS_MULTIPROC_DIR is set, if it is to be.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

if _shared := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    # The client takes a missing folder for an error, each time it counts.
    Path(_shared).mkdir(parents=True, exist_ok=True)

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# When a series began is a series more for each, which Prometheus sees by itself.
disable_created_metrics()

# A lone order takes milliseconds, a group tens of them; a request ends within its timeouts.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Work waits for milliseconds, or for as long as an outage lasts.
_WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0)
# An order is paid within a second, or by a customer who takes a day to think.
_AGES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 86_400.0)
# From one order to GROUP_MAX and what it may be raised to.
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


class _Value(Protocol):
    def inc(self, amount: float) -> None: ...


class Observed(Histogram):
    """A histogram that takes the values of a group at once: one write for each bucket they hit."""

    # The client's own, untyped there.
    _buckets: list[_Value]
    _sum: _Value

    def observe_many(self, values: Iterable[float]) -> None:
        """Observe each value; a group costs little more than one of them."""
        hit: dict[int, int] = {}
        total = 0.0
        for value in values:
            at = bisect_left(self._upper_bounds, value)
            hit[at] = hit.get(at, 0) + 1
            total += value
        for at, times in hit.items():
            self._buckets[at].inc(times)
        self._sum.inc(total)


class Definition(NamedTuple):
    """A metric as it is scraped; `type` is counter, histogram or gauge."""

    type: str
    about: str
    labels: tuple[str, ...]


# By the name under which Prometheus keeps it.
COUNTED: dict[str, Definition] = {}


def _counter(name: str, about: str, *labels: str) -> Counter:
    COUNTED[name] = Definition("counter", about, labels)
    return Counter(name, about, labels)


def _histogram(
    name: str, about: str, *labels: str, buckets: tuple[float, ...] = _SECONDS
) -> Observed:
    COUNTED[name] = Definition("histogram", about, labels)
    return Observed(name, about, labels, buckets=buckets)


def _gauge(name: str, about: str, *labels: str, over_processes: str = "livesum") -> Gauge:
    """Make a gauge of one process; how those of a machine become one is `over_processes`."""
    COUNTED[name] = Definition("gauge", about, labels)
    return Gauge(name, about, labels, multiprocess_mode=over_processes)  # pyright: ignore[reportArgumentType] - its own words


http_requests = _counter(
    "orderflow_http_requests_total", "Answered requests.", "method", "route", "status"
)
http_request_duration = _histogram(
    "orderflow_http_request_duration_seconds", "From request to last byte.", "method", "route"
)
sse_clients = _gauge("orderflow_sse_clients", "Streams of events that are open.")

orders_moves = _counter("orderflow_order_moves_total", "Orders that reached a status.", "to")
orders_age = _histogram(
    "orderflow_order_age_seconds",
    "Age of an order when it reached a status, by the clock of the database; of one that waited for"
    " stock since it has it.",
    "to",
    buckets=_AGES,
)

tasks = _counter(
    "orderflow_task_attempts_total",
    "Attempts at tasks by outcome: done, ready (tried again later), held (not tried: what it needs"
    " is away), lost (with its worker) or dead.",
    "kind",
    "outcome",
)
tasks_overtaken = _counter(
    "orderflow_tasks_overtaken_total",
    "Results that came after somebody took over; unwritten.",
    "kind",
)
task_wait = _histogram(
    "orderflow_task_wait_seconds",
    "From due to claimed, by the clock of the database. For a first attempt: from the transaction"
    " that caused the task, by its commit and ring, to the worker that has it.",
    "queue",
    "attempt",
    buckets=_WAITS,
)
task_calls = _histogram(
    "orderflow_task_call_duration_seconds",
    "Work of a task outside the database, all its calls and pauses together.",
    "queue",
)
group_size = _histogram(
    "orderflow_group_size", "Members of a group that share a transaction.", "stage", buckets=_SIZES
)
group_duration = _histogram(
    "orderflow_group_duration_seconds",
    "A group from its first statement to its commit; of tasks with calls: the writing of results.",
    "stage",
)
rings = _counter("orderflow_rings_total", "Doorbell messages, sent or lost.", "queue", "outcome")

gateway_calls = _counter(
    "orderflow_gateway_calls_total",
    "Calls to payment gateways.",
    "gateway",
    "operation",
    "outcome",
)
gateway_call_duration = _histogram(
    "orderflow_gateway_call_duration_seconds",
    "From call to answer of a payment gateway, repetitions included.",
    "gateway",
    "operation",
)
# Of the processes alive on this machine the worst one shows: a breaker open in one is seen.
breaker_state = _gauge(
    "orderflow_breaker_state",
    "Breaker of a payment gateway: 0 closed, 1 half-open, 2 open.",
    "gateway",
    over_processes="livemax",
)
breaker_transitions = _counter(
    "orderflow_breaker_transitions_total", "Breakers that changed state.", "gateway", "to"
)
mails = _counter("orderflow_mails_total", "Mails handed to the relay.", "outcome")

db_connections_in_use = _gauge(
    "orderflow_db_connections_in_use", "Connections of the pools that somebody holds."
)
db_connections_max = _gauge(
    "orderflow_db_connections_max", "Connections that the pools may hold at most."
)
db_connection_wait = _histogram(
    "orderflow_db_connection_wait_seconds",
    "From asking the pool for a connection to having one, or to giving up.",
)
db_connections_refused = _counter(
    "orderflow_db_connections_refused_total",
    "Times that nobody gave a connection of the pool back in time.",
)
db_statements_slow = _counter(
    "orderflow_db_statements_slow_total",
    "Statements that took longer than SLOW_STATEMENT_MS, by the function that ran them.",
    "statement",
)

cache_hits = _counter(
    "orderflow_cache_hits_total",
    "Readings that a cache answered; level is process, or redis for all processes.",
    "kind",
    "level",
)
cache_misses = _counter(
    "orderflow_cache_misses_total", "Readings that Postgres had to answer.", "kind"
)
cache_waits = _counter(
    "orderflow_cache_waits_total",
    "Readings that waited for the answer to another one instead of asking, too.",
    "kind",
)
cache_refusals = _counter(
    "orderflow_cache_refusals_total",
    "Answers that were not kept or shown: something newer was known of by then.",
    "level",
)
cache_invalidations = _counter(
    "orderflow_cache_invalidations_total", "Tags whose contents a process learned to forget."
)
cache_errors = _counter(
    "orderflow_cache_errors_total",
    "Failed questions: to redis for a value, to postgres whether values still hold.",
    "level",
)
cache_bytes = _gauge("orderflow_cache_bytes", "What the caches in processes hold.")

log_records = _counter(
    "orderflow_log_records_total", "Records of the log of level warning and above.", "level"
)


SYSTEM: Mapping[str, Definition] = {
    "orderflow_audit_round_timestamp_seconds": Definition(
        "gauge", "When the auditor had last seen all orders there are; 0 before the first time.", ()
    ),
    "orderflow_audit_timestamp_seconds": Definition(
        "gauge",
        "When the auditor had last seen all that had changed; 0 before the first time.",
        (),
    ),
    "orderflow_build_info": Definition(
        "gauge", "1; what runs is in the labels.", ("version", "revision", "python")
    ),
    "orderflow_database_up": Definition(
        "gauge", "1 if Postgres answered what the gauges of the system are read from, else 0.", ()
    ),
    "orderflow_findings": Definition(
        "gauge", "Open findings of reconciliation and auditor by kind.", ("kind",)
    ),
    "orderflow_invariant_violations": Definition(
        "gauge", "Open findings of the auditor by the invariant that is broken.", ("invariant",)
    ),
    "orderflow_orders": Definition(
        "gauge", "Orders under way by status; those paid or ended are not counted.", ("status",)
    ),
    "orderflow_payments_unknown": Definition(
        "gauge", "Payment attempts whose outcome is unknown.", ("gateway",)
    ),
    "orderflow_payments_unknown_oldest_seconds": Definition(
        "gauge", "How long the oldest of them has been unknown.", ("gateway",)
    ),
    "orderflow_processes": Definition(
        "gauge", "Processes that have told within 15 seconds that they live.", ("kind",)
    ),
    "orderflow_queue_paused": Definition("gauge", "1 if the queue is paused, else 0.", ("queue",)),
    "orderflow_tasks": Definition(
        "gauge", "Tasks that are ready, running or dead.", ("queue", "state")
    ),
    "orderflow_tasks_oldest_due_seconds": Definition(
        "gauge", "How long the oldest due task has waited; 0 if none is due.", ("queue",)
    ),
}
