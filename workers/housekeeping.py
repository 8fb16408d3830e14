"""Housekeeping: what is done and old goes, a batch at a time."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from db import placements, tasks
from domain.task import Task

# Done tasks explain recent orders; the timeline keeps the story for good.
TASKS_KEEP_DAYS = 7
# Longer than any client goes on retrying one request.
IDEMPOTENCY_KEYS_KEEP_DAYS = 3
# Rows one transaction deletes; small enough for the statement timeout.
PRUNE_BATCH_MAX = 10_000


async def prune(tx: AsyncConnection, group: Sequence[Task]) -> None:
    """Delete a batch of old rows per task."""
    for _ in group:
        await tasks.prune(tx, keep_days=TASKS_KEEP_DAYS, limit=PRUNE_BATCH_MAX)
        await placements.prune(tx, keep_days=IDEMPOTENCY_KEYS_KEEP_DAYS, limit=PRUNE_BATCH_MAX)
