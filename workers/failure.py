"""Failures of our own code: what becomes of a task whose attempt raised."""

import logging
import random

from domain.task import Task, Verdict, retry
from ops.telemetry import metrics

log = logging.getLogger(__name__)


def verdict_on(task: Task, failure: Exception) -> Verdict:
    """Decide on an attempt that raised: later, or dead with the failure as its reason."""
    log.error("Task %d failed", task.id, exc_info=failure)
    error = f"{type(failure).__name__}: {failure}"
    verdict = retry(task.attempt, task.attempts_max, error=error, chance=random.random())  # noqa: S311 - jitter
    metrics.tasks.labels(kind=task.kind.value, outcome=verdict.state.value).inc()
    return verdict
