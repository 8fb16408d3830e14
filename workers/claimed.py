"""Draining a stage that touches only Postgres: claim, effect and done in one transaction."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tasks
from db.engine import Database, Unavailable, name_commit, transaction
from db.groups import in_halves
from domain.task import DONE, Queue, Task
from ops.faultpoint import Commit
from ops.telemetry import metrics
from workers.bell import Bell
from workers.failure import twice, verdict_on

log = logging.getLogger(__name__)

Effect = Callable[[AsyncConnection, Sequence[Task]], Awaitable[None]]


class Stage(msgspec.Struct, frozen=True):
    """`effect` does the work of claimed tasks, all of it in the given transaction."""

    database: Database
    queue: Queue
    effect: Effect
    group_max: int


async def drain(stage: Stage, bell: Bell) -> None:
    """Work in groups until nothing is due."""
    while not bell.stopping:
        bell.rung.clear()
        try:
            claimed = await twice(partial(run_once, stage))
        except Unavailable as outage:
            log.warning("%s waits for the database: %s", stage.queue, outage)
            return
        # A group may be small because of the queue's limit, so only an empty one is the last.
        if not claimed:
            return
        if claimed == stage.group_max:
            bell.invite()


async def run_once(stage: Stage) -> int:
    """Run one group; returns how many tasks were claimed.

    If it fails it is tried in halves; a member that fails alone has its attempt counted and
    is tried again later, or is dead. Raises Unavailable.
    """
    group: list[Task] = []
    try:
        async with transaction(stage.database) as tx:
            group = await tasks.claim(tx, stage.queue, limit=stage.group_max)
            await _work(stage, tx, group)
    except Unavailable:
        raise
    except Exception:
        if not group:
            raise
        log.exception("A group of %d in %s failed: trying its halves", len(group), stage.queue)
        await _try_halves(stage, group)
    return len(group)


async def _work(stage: Stage, tx: AsyncConnection, group: Sequence[Task]) -> None:
    if not group:
        return
    name_commit(tx, Commit(f"commit-work-{stage.queue}"))
    await stage.effect(tx, group)
    await tasks.finish(tx, [(task, DONE) for task in group], leased=False)
    metrics.group_size.labels(stage=stage.queue.value).observe(len(group))
    for task in group:
        metrics.tasks.labels(kind=task.kind.value, outcome=DONE.state.value).inc()


async def _try_halves(stage: Stage, group: Sequence[Task]) -> None:
    async def again(part: Sequence[Task]) -> Sequence[None]:
        async with transaction(stage.database) as tx:
            ids = [task.id for task in part]
            await _work(stage, tx, await tasks.claim(tx, stage.queue, limit=len(ids), ids=ids))
        return [None] * len(part)

    for task, failure in zip(group, await in_halves(group, again), strict=True):
        if failure is not None:
            await _fail(stage, task, failure)


async def _fail(stage: Stage, task: Task, failure: Exception) -> None:
    verdict = verdict_on(task, failure)
    async with transaction(stage.database) as tx:
        name_commit(tx, Commit.FAIL_CLAIMED)
        claimed = await tasks.claim(tx, stage.queue, limit=1, ids=[task.id])
        await tasks.finish(tx, [(task, verdict) for task in claimed], leased=False)
