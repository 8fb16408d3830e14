"""What is told of tasks: counts, log lines and spans."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from domain.task import QUEUE_OF, Kind, Queue, Task, Verdict
from ops.telemetry import metrics, trace

log = logging.getLogger(__name__)

# What is done in its thousands, or waits in its thousands, is for who looks for it.
_LEVELS: Mapping[str, int] = {
    "done": logging.DEBUG,
    "held": logging.DEBUG,
    "lost": logging.WARNING,
    "dead": logging.ERROR,
}


def count_claimed(claimed: Sequence[Task]) -> None:
    """Tell the metrics how long tasks were due before somebody had them."""
    waits: dict[tuple[Queue, str], list[float]] = {}
    for task in claimed:
        attempt = "first" if task.attempt == 1 and not task.begun else "later"
        waits.setdefault((QUEUE_OF[task.kind], attempt), []).append(task.waited_s)
    for (queue, attempt), waited_s in waits.items():
        metrics.task_wait.labels(queue.value, attempt).observe_many(waited_s)


def tell_ended(ended: Iterable[tuple[Task, Verdict]], outcome: str | None = None) -> None:
    """Count how attempts ended, and log those that did not end well; `outcome` names it otherwise.

    Not why: reasons quote outsiders, who quote people. The task keeps its reason.
    """
    alike: dict[tuple[Kind, str], list[Task]] = {}
    for task, verdict in ended:
        said = outcome or (verdict.state.value if verdict.spent else "held")
        alike.setdefault((task.kind, said), []).append(task)
    for (kind, said), tasks in alike.items():
        metrics.tasks.labels(kind=kind.value, outcome=said).inc(len(tasks))
        level = _LEVELS.get(said, logging.INFO)
        for task in tasks if log.isEnabledFor(level) else ():
            log.log(level, "Attempt ended: %s", said, extra={"fields": ids_of(task)})


def ids_of(task: Task) -> dict[str, object]:
    """Give what tells a task from all others in the log."""
    fields: dict[str, object] = {"task_id": task.id, "kind": task.kind, "attempt": task.attempt}
    if task.order_id is not None:
        fields["order_id"] = task.order_id
    if task.traceparent is not None:
        fields["trace_id"] = trace.id_of(task.traceparent)
    return fields


def doing(task: Task) -> AbstractContextManager[trace.Span]:
    """Work on a task in the trace of what caused it."""
    attributes = about(task) if trace.is_recorded() else trace.NO_ATTRIBUTES
    of, kind = task.kind.value, trace.Kind.CONSUMER
    return trace.following(task.traceparent, of, kind=kind, attributes=attributes)


def tell_group(name: str, seconds: float, group: Sequence[Task]) -> None:
    """Record what was just done for tasks together, in the trace of each."""
    if trace.is_recorded():
        trace.tell_group(name, seconds, [(task.traceparent, about(task)) for task in group])


def about(task: Task) -> dict[str, str | int]:
    """Give the attributes of the spans of a task."""
    of_order = {} if task.order_id is None else {"orderflow.order.id": str(task.order_id)}
    return {
        "orderflow.task.id": task.id,
        "orderflow.task.kind": task.kind.value,
        "orderflow.task.attempt": task.attempt,
        **of_order,
    }
