"""Draining a stage that touches only Postgres: claim, effect and done in one transaction.

That one transaction keeps no count of attempts if its process dies. So what was begun and has no
result is run alone, on a lease that counts the attempt first: a task that takes its process with
it is dead after `attempts_max`, and the rest of its group is done (decision 8).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tasks
from db.engine import Database, Unavailable, name_commit, transaction
from domain.task import DONE, Queue, Task
from ops.telemetry import activity, metrics
from ops.telemetry.faultpoint import Commit
from workers.bell import Bell
from workers.failure import twice, verdict_on
from workers.telling import count_claimed, ids_of, tell_ended, tell_group

log = logging.getLogger(__name__)

Effect = Callable[[AsyncConnection, Sequence[Task]], Awaitable[None]]


class Stage(msgspec.Struct, frozen=True):
    """`effect` does the work of claimed tasks, all of it in the given transaction.

    Whatever is not through after `lease_s` is given up.
    """

    database: Database
    queue: Queue
    effect: Effect
    group_max: int
    lease_s: float


async def drain(stage: Stage, bell: Bell) -> None:
    """Work in groups until nothing is due."""
    while not bell.stopping:
        bell.rung.clear()
        try:
            claimed = await twice(partial(run_once, stage, bell))
        except Unavailable as outage:
            log.warning("%s waits for the database: %s", stage.queue, outage)
            return
        # A group may be small because of the queue's limit, so only an empty one is the last.
        if not claimed:
            return
        if claimed == stage.group_max:
            bell.invite()


async def run_once(stage: Stage, bell: Bell) -> int:
    """Run one group, and alone what was begun before; returns how many tasks were claimed.

    The members of a group that fails are begun, so the next round runs them alone. One that
    fails alone is tried again later, or is dead. Raises Unavailable.
    """
    due = await _run_group(stage)
    for task in due:
        if task.begun and not bell.stopping:
            await _run_alone(stage, task)
    return len(due)


async def _run_group(stage: Stage) -> list[Task]:
    due: list[Task] = []
    started = perf_counter()
    try:
        async with transaction(stage.database) as tx:
            due = await tasks.claim(tx, stage.queue, limit=stage.group_max)
            if group := [task for task in due if not task.begun]:
                await _work(stage, tx, group)
                await tasks.finish(tx, [(task, DONE) for task in group], leased=False)
    except Unavailable:
        raise
    except Exception:
        if not due:
            raise
        log.exception("A group in %s failed: its %d tasks are run alone", stage.queue, len(due))
    else:
        _count(stage, group, perf_counter() - started)
    count_claimed(due)
    return due


async def _run_alone(stage: Stage, task: Task) -> None:
    async with transaction(stage.database) as tx:
        leased = await tasks.lease_one(tx, task, lease_s=stage.lease_s)
        if leased is None:
            return
        name_commit(tx, Commit.LEASE_CLAIMED)
    log.warning("A task was begun before and is run alone", extra={"fields": ids_of(leased)})
    started = perf_counter()
    try:
        async with transaction(stage.database) as tx:
            # Ended first, so that it happens only if nobody took over, and nobody can meanwhile.
            if not await tasks.finish(tx, [(leased, DONE)], leased=True):
                return
            await _work(stage, tx, [leased])
    except Unavailable:
        raise
    except Exception as failure:  # noqa: BLE001 - the task keeps it as the reason
        await _fail(stage, leased, failure)
    else:
        _count(stage, [leased], perf_counter() - started)


async def _work(stage: Stage, tx: AsyncConnection, group: Sequence[Task]) -> None:
    name_commit(tx, Commit(f"commit-work-{stage.queue}"))
    kinds = ", ".join(sorted({task.kind for task in group}))
    with activity.doing(stage.queue, f"{kinds}: {len(group)}"):
        async with asyncio.timeout(stage.lease_s):
            await stage.effect(tx, group)


async def _fail(stage: Stage, task: Task, failure: Exception) -> None:
    verdict = verdict_on(task, failure)
    async with transaction(stage.database) as tx:
        name_commit(tx, Commit.FAIL_CLAIMED)
        await tasks.finish(tx, [(task, verdict)], leased=True)


def _count(stage: Stage, done: Sequence[Task], seconds: float) -> None:
    if done:
        metrics.group_size.labels(stage=stage.queue.value).observe(len(done))
        metrics.group_duration.labels(stage=stage.queue.value).observe(seconds)
        tell_group(done[0].kind.value, seconds, done)
    tell_ended((task, DONE) for task in done)
