"""What the API answers, as tables for a terminal."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ops.cli.api import Json

_MIB = 1 << 20


def order(found: Json, events: Sequence[Json]) -> Group:
    """Show an order and its timeline."""
    # How many digits a currency has is not of its business.
    total = f"{found['total_minor']:,} minor units of {found['currency']}"
    head = Text.assemble((f"{found['status']}  ", "bold"), f"{total}  {found['id']}")
    timeline = _table("Version", "At", "Event", "Status")
    for event in events:
        _row(timeline, event["version"], event["at"], event["kind"], event["status"])
    return Group(head, timeline)


def queues(found: Sequence[Json]) -> Table:
    """Show queues."""
    shown = _table("Queue", "State", "Due", "Scheduled", "Running", "Limit", "Dead", "Oldest")
    for queue in found:
        state = "paused" if queue["paused"] else "draining" if queue["draining"] else "takes work"
        most = "-" if queue["running_max"] is None else queue["running_max"]
        due = queue["ready"] - queue["scheduled"]
        counts = (due, queue["scheduled"], queue["running"], most, queue["dead"])
        _row(shown, queue["name"], state, *counts, _length(queue["oldest_due_s"]))
    return shown


def processes(found: Sequence[Json]) -> Table:
    """Show processes and what they do."""
    shown = _table("Process", "State", "Host", "Pid", "Memory", "Release", "Heard of", "Does now")
    for one in found:
        state = "lost" if one["lost"] else "stopping" if one["stop_asked_at"] else "alive"
        memory = "-" if one["rss_bytes"] is None else f"{one['rss_bytes'] / _MIB:.0f} MiB"
        does = ", ".join(f"{each['stage']}: {each['what']}" for each in one["running"]) or "-"
        about = (one["host"], one["pid"], memory, one["version"], one["heartbeat_at"][11:19])
        _row(shown, one["kind"], state, *about, does)
    return shown


def causes(found: Sequence[Json]) -> Table:
    """Show why tasks are dead."""
    shown = _table("Tasks", "Kind", "Cause", "Latest")
    for one in found:
        _row(shown, one["count"], one["kind"], one["cause"], one["last_at"])
    return shown


def tasks(found: Sequence[Json]) -> Table:
    """Show tasks."""
    shown = _table("Task", "Kind", "Order", "Attempts", "Error")
    for one in found:
        tried = f"{one['attempt']} of {one['attempts_max']}"
        _row(shown, one["id"], one["kind"], one["order_id"] or "-", tried, one["last_error"] or "-")
    return shown


def judged(told: Json) -> Text:
    """Say what a bulk would do, and leave out."""
    lines = [f"{told['matched']:,} match, {told['safe']:,} safe"]
    for one in told["left_out"]:
        ids = ", ".join(map(str, one["task_ids"]))
        lines.append(f"{one['count']:,} left out: {one['why']} For example {ids}.")
    return Text("\n".join(lines))


def _length(seconds: float | None) -> str:
    return "-" if seconds is None else str(timedelta(seconds=round(seconds)))


def _table(*columns: str) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column)
    return shown


def _row(shown: Table, *values: Any) -> None:  # noqa: ANN401 - whatever the API says
    # As text: what comes from outside is no markup.
    shown.add_row(*(Text(_plain(value)) for value in values))


def _plain(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return "".join(char for char in text if char.isprintable())
