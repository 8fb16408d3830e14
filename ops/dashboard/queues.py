"""The queues: how much of each waits and runs, how fast it goes, and who changed it."""

from collections.abc import Mapping

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import people, queues, throughput
from db.queues import QueueView
from db.throughput import Throughput
from ops.dashboard.charts import Chart, Series, chart
from ops.dashboard.page import Nothing, Page


class Row(msgspec.Struct, frozen=True):
    """A queue, and what it did lately, if anything."""

    queue: QueueView
    lately: Throughput | None
    latency: Chart | None
    tone: str


async def show(tx: AsyncConnection, _: Nothing) -> Mapping[str, object]:
    """Read the queues."""
    found = await queues.page(tx)
    lately = {one.name: one for one in await throughput.page(tx)}
    return {
        "rows": [_row(queue, lately.get(queue.name)) for queue in found],
        "people": await people.emails(tx, [queue.changed_by for queue in found]),
    }


def _row(queue: QueueView, lately: Throughput | None) -> Row:
    tone = "warn" if queue.paused or queue.draining else "bad" if queue.dead else ""
    return Row(queue, lately, None if lately is None else _latency(lately), tone)


def _latency(lately: Throughput) -> Chart:
    counts = Series("tasks", [float(count) for count in lately.counts])
    return chart(f"Tasks of {lately.name} by how long they took", counts, unit="tasks")


PAGE = Page("/ops/queues", "Queues", "queues.html", show, nav="Queues")
