"""What every drain does alike: try again after an outage, judge what failed, count."""

import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from db.engine import Unavailable
from domain.task import QUEUE_OF, Task, Verdict, after_crash
from ops.telemetry import metrics, trace

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# What is done in its thousands, or waits in its thousands, is for who looks for it.
_LEVELS: Mapping[str, int] = {
    "done": logging.DEBUG,
    "held": logging.DEBUG,
    "lost": logging.WARNING,
    "dead": logging.ERROR,
}


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


def tell_ended(ended: Iterable[tuple[Task, Verdict]], outcome: str | None = None) -> None:
    """Count how attempts ended, and log those that did not end well; `outcome` names it otherwise.

    Not why: reasons quote outsiders, who quote people. The task keeps its reason.
    """
    for task, verdict in ended:
        said = outcome or (verdict.state.value if verdict.spent else "held")
        metrics.tasks.labels(kind=task.kind.value, outcome=said).inc()
        level = _LEVELS.get(said, logging.INFO)
        if log.isEnabledFor(level):
            log.log(level, "Attempt ended: %s", said, extra={"fields": ids_of(task)})


def ids_of(task: Task) -> dict[str, object]:
    """Give what tells a task from all others in the log."""
    fields: dict[str, object] = {"task_id": task.id, "kind": task.kind, "attempt": task.attempt}
    if task.order_id is not None:
        fields["order_id"] = task.order_id
    if task.traceparent is not None:
        fields["trace_id"] = trace.id_of(task.traceparent)
    return fields


def verdict_on(task: Task, failure: Exception) -> Verdict:
    """Decide on an attempt that raised: later, or dead with the failure as its reason."""
    log.error("Task %d failed", task.id, exc_info=failure, extra={"fields": ids_of(task)})
    error = f"{type(failure).__name__}: {failure}"
    verdict = after_crash(task, error=error, chance=random.random())  # noqa: S311 - jitter
    tell_ended([(task, verdict)])
    return verdict
