"""What becomes of work that failed: by a bug of ours, or because Postgres was away."""

import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from db.engine import Unavailable
from domain.task import Task, Verdict, after_crash
from workers.telling import ids_of, tell_ended

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


def verdict_on(task: Task, failure: Exception) -> Verdict:
    """Decide on an attempt that raised: later, or dead with the failure as its reason."""
    log.error("Task %d failed", task.id, exc_info=failure, extra={"fields": ids_of(task)})
    error = f"{type(failure).__name__}: {failure}"
    verdict = after_crash(task, error=error, chance=random.random())  # noqa: S311 - jitter
    tell_ended([(task, verdict)])
    return verdict
