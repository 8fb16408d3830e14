"""What every drain does alike: try again after an outage, judge what failed, count."""

import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from db.engine import Unavailable
from domain.task import QUEUE_OF, Task, Verdict, after_crash
from ops.telemetry import metrics

log = logging.getLogger(__name__)

Result = TypeVar("Result")


async def twice(run: Callable[[], Awaitable[Result]]) -> Result:
    """Run once more what met an outage: a restart of Postgres has broken idle connections.

    Raises Unavailable if it is still away.
    """
    try:
        return await run()
    except Unavailable:
        return await run()


def count_claimed(claimed: Sequence[Task]) -> None:
    """Tell the metrics how long tasks were due before somebody had them."""
    for task in claimed:
        attempt = "first" if task.attempt == 1 and not task.begun else "later"
        wait = metrics.task_wait.labels(QUEUE_OF[task.kind].value, attempt)
        wait.observe(task.waited_s)


def verdict_on(task: Task, failure: Exception) -> Verdict:
    """Decide on an attempt that raised: later, or dead with the failure as its reason."""
    log.error("Task %d failed", task.id, exc_info=failure)
    error = f"{type(failure).__name__}: {failure}"
    verdict = after_crash(task, error=error, chance=random.random())  # noqa: S311 - jitter
    metrics.tasks.labels(kind=task.kind.value, outcome=verdict.state.value).inc()
    return verdict
