"""Draining a stage that works outside the database: lease, call without a transaction, record."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db import tasks
from db.engine import Database, Unavailable, name_commit, transaction
from db.groups import in_halves
from domain.task import Queue, Task, Verdict
from ops.telemetry import activity, logs, metrics
from ops.telemetry.faultpoint import Commit
from workers.bell import Bell
from workers.failure import twice, verdict_on
from workers.telling import count_claimed, doing, ids_of, tell_ended, tell_group

log = logging.getLogger(__name__)

# Results are offered again while Postgres restarts, which takes a second or two. All of it ends
# within what shutdown grace and lease leave beyond the longest call.
RECORD_AGAIN_AFTER_S = (0.1, 0.4, 1.0, 2.0)


class Errand(Protocol):
    """What is to be done outside for a task."""

    @property
    def task(self) -> Task: ...


Step = TypeVar("Step", bound=Errand)
Outcome = TypeVar("Outcome")


class Stage(msgspec.Struct, Generic[Step, Outcome], frozen=True):
    """The three parts of such a stage.

    `prepare(tx, group)` says for each leased task what to do, or what becomes of it without a
    call. `call(step)` does it outside and never raises. `record(pairs)` writes what came of it, in
    one transaction, all or nothing.
    """

    database: Database
    queue: Queue
    lease_s: float
    prepare: Callable[[AsyncConnection, Sequence[Task]], Awaitable[Sequence[Step | Verdict]]]
    call: Callable[[Step], Awaitable[Outcome]]
    record: Callable[[Sequence[tuple[Step, Outcome]]], Awaitable[None]]
    flying_max: int


def order_of(task: Task) -> UUID:
    """Give the order a task works for; raises ValueError if it names none."""
    if task.order_id is None:
        raise ValueError(f"A task to {task.kind} names no order.")
    return task.order_id


async def drain(stage: Stage[Step, Outcome], bell: Bell) -> None:
    """Work until nothing is due and no call is under way.

    Calls that end while others are recorded are the next group, so groups grow with the load
    and a slow call holds up nobody else.
    """
    flying: set[asyncio.Task[tuple[Step, Outcome]]] = set()
    due = True
    while flying or (due and not bell.stopping):
        room = stage.flying_max - len(flying)
        # Half the room at least: many small claims would cost more than they bring.
        if due and room >= stage.flying_max / 2 and not bell.stopping:
            bell.rung.clear()
            leased, steps = await _claim(stage, room)
            if due := leased == room:
                bell.invite()
            flying |= {asyncio.create_task(_fly(stage, step)) for step in steps}
        if flying:
            landed, flying = await _wait(flying, None if due else bell.rung)
            await _record(stage, [task.result() for task in landed])
            # A ring tells of work; a call that ended made room, under the queue's limit too.
            due = True


async def _claim(stage: Stage[Step, Outcome], room: int) -> tuple[int, list[Step]]:
    """Lease up to `room` tasks; returns how many, and what is to be done for them.

    It never raises: whatever prevents it, the calls under way are still to be recorded, and
    the sweep rings for what is left.
    """
    try:
        return await twice(partial(_claim_group, stage, room))
    except Unavailable as outage:
        log.warning("%s waits for the database: %s", stage.queue, outage)
    except Exception:
        log.exception("%s cannot claim its work", stage.queue)
    return 0, []


async def _claim_group(stage: Stage[Step, Outcome], room: int) -> tuple[int, list[Step]]:
    started = perf_counter()
    try:
        async with transaction(stage.database) as tx:
            leased = await _lease(stage, tx, room)
            if leased:
                name_commit(tx, Commit(f"commit-lease-{stage.queue}"))
            fresh = [task for task in leased if not task.begun]
            steps = _to_do(await _prepare(stage, tx, fresh))
    except Unavailable:
        raise
    except Exception:
        log.exception("A group in %s could not be prepared: trying its halves", stage.queue)
        return await _claim_in_halves(stage, room)
    count_claimed(leased)
    tell_group(f"prepare {stage.queue}", perf_counter() - started, leased)
    for task in leased:
        if task.begun:
            steps += await _prepare_alone(stage, task)
    return len(leased), steps


async def _lease(stage: Stage[Step, Outcome], tx: AsyncConnection, room: int) -> list[Task]:
    return await tasks.lease(tx, stage.queue, limit=room, lease_s=stage.lease_s)


async def _claim_in_halves(stage: Stage[Step, Outcome], room: int) -> tuple[int, list[Step]]:
    """Commit the lease first, so that the attempt of a member that fails alone counts."""
    async with transaction(stage.database) as tx:
        name_commit(tx, Commit.LEASE_ALONE)
        leased = await _lease(stage, tx, room)

    count_claimed(leased)
    prepared = await in_halves(leased, partial(_prepare_leased, stage)) if leased else []
    for task, step in zip(leased, prepared, strict=True):
        if isinstance(step, Exception):
            await _fail(stage, task, step)
    return len(leased), _to_do([step for step in prepared if not isinstance(step, Exception)])


async def _prepare_alone(stage: Stage[Step, Outcome], task: Task) -> list[Step]:
    """Prepare what somebody had begun to and left no result of, its attempt counted by now.

    Whatever takes this process along then does so a limited number of times (decision 8).
    """
    log.warning("A task was begun before", extra={"fields": ids_of(task)})
    try:
        return _to_do(await _prepare_leased(stage, [task]))
    except Unavailable as outage:
        log.warning("%s waits for the database: %s", stage.queue, outage)
    except Exception as failure:  # noqa: BLE001 - the task keeps it as the reason
        await _fail(stage, task, failure)
    return []


async def _prepare_leased(
    stage: Stage[Step, Outcome], leased: Sequence[Task]
) -> Sequence[Step | Verdict]:
    """Prepare tasks whose lease is committed."""
    async with transaction(stage.database) as tx:
        name_commit(tx, Commit.PREPARE_HALVES)
        return await _prepare(stage, tx, leased)


async def _prepare(
    stage: Stage[Step, Outcome], tx: AsyncConnection, leased: Sequence[Task]
) -> Sequence[Step | Verdict]:
    if not leased:
        return ()
    steps = await stage.prepare(tx, leased)
    pairs = zip(leased, steps, strict=True)
    idle = [(task, verdict) for task, verdict in pairs if isinstance(verdict, Verdict)]
    await tasks.finish(tx, idle, leased=True)
    tell_ended(idle)
    return steps


def _to_do(steps: Sequence[Step | Verdict]) -> list[Step]:
    return [step for step in steps if not isinstance(step, Verdict)]


async def _fail(stage: Stage[Step, Outcome], task: Task, failure: Exception) -> None:
    verdict = verdict_on(task, failure)
    async with transaction(stage.database) as tx:
        name_commit(tx, Commit.FAIL_LEASED)
        await tasks.finish(tx, [(task, verdict)], leased=True)


async def _fly(stage: Stage[Step, Outcome], step: Step) -> tuple[Step, Outcome]:
    task = step.task
    with (
        logs.bound(**ids_of(task)),
        doing(task),
        activity.doing(stage.queue, task.kind, activity.ids(task.id, task.order_id)),
    ):
        started = perf_counter()
        outcome = await stage.call(step)
        metrics.task_calls.labels(stage.queue.value).observe(perf_counter() - started)
        return step, outcome


async def _wait(
    flying: set[asyncio.Task[tuple[Step, Outcome]]], rung: asyncio.Event | None
) -> tuple[set[asyncio.Task[tuple[Step, Outcome]]], set[asyncio.Task[tuple[Step, Outcome]]]]:
    """Wait until a call has ended, or until it rings; returns the calls ended and the others."""
    ring = None if rung is None else asyncio.create_task(rung.wait())
    awaited = flying if ring is None else {*flying, ring}
    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    if ring is not None:
        ring.cancel()
    landed = {task for task in flying if task.done()}
    return landed, flying - landed


async def _record(stage: Stage[Step, Outcome], pairs: Sequence[tuple[Step, Outcome]]) -> None:
    """Record a group; what cannot be recorded comes back when its lease runs out."""
    if not pairs:
        return
    metrics.group_size.labels(stage=stage.queue.value).observe(len(pairs))
    started = perf_counter()
    for pause_s in (*RECORD_AGAIN_AFTER_S, None):
        try:
            await _record_in_halves(stage, pairs)
        except Unavailable as outage:
            log.warning("%d results of %s are not recorded: %s", len(pairs), stage.queue, outage)
        else:
            seconds = perf_counter() - started
            metrics.group_duration.labels(stage.queue.value).observe(seconds)
            tell_group(f"record {stage.queue}", seconds, [step.task for step, _ in pairs])
            return
        if pause_s is not None:
            await asyncio.sleep(pause_s)


async def _record_in_halves(
    stage: Stage[Step, Outcome], pairs: Sequence[tuple[Step, Outcome]]
) -> None:
    async def run(part: Sequence[tuple[Step, Outcome]]) -> Sequence[None]:
        await stage.record(part)
        return [None] * len(part)

    for (step, _), failure in zip(pairs, await in_halves(pairs, run), strict=True):
        if failure is not None:
            await _fail(stage, step.task, failure)
