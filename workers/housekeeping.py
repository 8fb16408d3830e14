"""Housekeeping: what is done and old goes, and imports come in, a step at a time."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from db import (
    account_notices,
    breakers,
    bulks,
    carts,
    codes,
    find_upkeep,
    import_steps,
    imports,
    invalidations,
    keys,
    processes,
    samples,
    security,
    sessions,
    tasks,
    upkeep,
)
from domain.cart import KEEP_DAYS as CARTS_KEEP_DAYS
from domain.task import Kind, NewTask, Task

# Done tasks explain recent orders; the timeline keeps the story for good.
TASKS_KEEP_DAYS = 7
# Longer than any client goes on retrying one request.
IDEMPOTENCY_KEYS_KEEP_DAYS = 3
# A breaker that does not change for days is closed, or its process is gone.
BREAKERS_KEEP_DAYS = 3
# A month's outages are compared with each other.
BREAKER_CHANGES_KEEP_DAYS = 31
# As long as done tasks are kept, what was done to many of them can be put back.
BULKS_KEEP_DAYS = 7
# Whoever wants to know why a process was lost looks by then.
PROCESSES_KEEP_DAYS = 1
# The overview shows an hour; the week before tells whether that is usual.
SAMPLES_KEEP_DAYS = 7
# Whoever wonders about a mail or a session of theirs does so within weeks.
ACCOUNT_MAILS_KEEP_DAYS = 30
SESSIONS_KEEP_DAYS = 30
SECURITY_EVENTS_KEEP_DAYS = 365
# Whoever wonders where a price came from does so within weeks.
IMPORTS_KEEP_DAYS = 30
# An import of 100,000 rows is published in one transaction, of two minutes on a busy machine.
PATIENCE_S = 600.0
# Rows one transaction deletes; small enough for the statement timeout.
PRUNE_BATCH_MAX = 10_000


async def keep_house(tx: AsyncConnection, group: Sequence[Task]) -> None:
    """Do the work of a group, each in its turn."""
    for task in group:
        if task.kind is Kind.IMPORT:
            await import_steps.step(tx, UUID(task.payload[imports.OF_IMPORT]))
        else:
            await prune(tx, [task])


async def prune(
    tx: AsyncConnection, group: Sequence[Task], *, batch_max: int = PRUNE_BATCH_MAX
) -> None:
    """Delete a batch of old rows per task, and ask for the next batch if there may be one."""
    for _ in group:
        gone = await upkeep.prune(tx, keep_days=TASKS_KEEP_DAYS, limit=batch_max)
        forgotten = await keys.prune(tx, keep_days=IDEMPOTENCY_KEYS_KEEP_DAYS, limit=batch_max)
        await breakers.prune(tx, keep_days=BREAKERS_KEEP_DAYS)
        await breakers.prune_history(tx, keep_days=BREAKER_CHANGES_KEEP_DAYS, limit=batch_max)
        await processes.prune(tx, keep_days=PROCESSES_KEEP_DAYS)
        await samples.prune(tx, keep_days=SAMPLES_KEEP_DAYS, limit=batch_max)
        await invalidations.prune(tx)
        await bulks.prune(tx, keep_days=BULKS_KEEP_DAYS)
        await find_upkeep.tidy(tx)
        await imports.prune(tx, keep_days=IMPORTS_KEEP_DAYS)
        abandoned = await carts.prune(tx, keep_days=CARTS_KEEP_DAYS, limit=batch_max)
        if batch_max in {gone, forgotten, abandoned, *await _prune_accounts(tx, batch_max)}:
            await tasks.schedule(tx, NewTask(Kind.PRUNE))


async def _prune_accounts(tx: AsyncConnection, batch_max: int) -> tuple[int, ...]:
    return (
        await account_notices.prune(tx, keep_days=ACCOUNT_MAILS_KEEP_DAYS, limit=batch_max),
        await codes.prune(tx, limit=batch_max),
        await sessions.prune(tx, keep_days=SESSIONS_KEEP_DAYS, limit=batch_max),
        await security.prune(tx, keep_days=SECURITY_EVENTS_KEEP_DAYS, limit=batch_max),
    )
