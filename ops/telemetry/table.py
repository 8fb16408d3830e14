"""The page of all metrics: `python -m ops.telemetry.table > docs/metrics.md`."""

import sys
from collections.abc import Iterable, Mapping
from itertools import chain

from ops.telemetry.metrics import COUNTED, SYSTEM, Definition

_HEAD = """\
# Metrics

Every metric that `/metrics` shows; a test compares this page with what is exported. `web` shows
them at `/metrics`, `worker` and `clock` on `METRICS_PORT`. The gauges of the system are read from
Postgres by `web` alone, at a scrape but no more often than every second: of several `web`
processes take the `max`. A process without `PROMETHEUS_MULTIPROC_DIR` also shows the `process_*`
and `python_*` of prometheus-client.

They name nobody, but tell how the shop does: how many orders there are and come, what fails, which
version runs. Set `METRICS_TOKEN` where strangers reach `/metrics` of `web`; they are not to reach
`METRICS_PORT`. A flood of scrapes costs `web` no more than one a second.

Labels have few values: routes are templates (`unmatched` for all else), methods are the seven of
HTTP or `other`, queues, kinds, states and stages are ours, gateways those of `PAYMENT_GATEWAYS`.
"""


def page() -> str:
    """Write the page in Markdown."""
    return "\n".join(
        (
            _HEAD,
            *_section("What processes count", COUNTED),
            "",
            *_section("What is read of the whole system", SYSTEM),
            "",
        )
    )


def _section(title: str, defined: Mapping[str, Definition]) -> Iterable[str]:
    head = (
        f"## {title}",
        "",
        "| metric | type | unit | labels | what it tells |",
        "|---|---|---|---|---|",
    )
    return chain(head, (_row(name, defined[name]) for name in sorted(defined)))


def _row(name: str, metric: Definition) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    return f"| `{name}` | {metric.type} | {unit(name)} | {labels} | {metric.about} |"


def unit(name: str) -> str:
    """Tell the unit, which Prometheus wants in the name; what names none is a number of things."""
    if name.endswith("_timestamp_seconds"):
        return "seconds since 1970"
    return "seconds" if "_seconds" in name else "number"


if __name__ == "__main__":
    sys.stdout.write(page())
