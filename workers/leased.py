"""Draining a stage that works outside the database: lease, call without a transaction, record."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from db.engine import Unavailable
from db.groups import in_halves
from domain.task import Queue
from ops.telemetry import metrics
from workers.bell import Bell

log = logging.getLogger(__name__)

Step = TypeVar("Step")
Outcome = TypeVar("Outcome")


class Stage(msgspec.Struct, Generic[Step, Outcome], frozen=True):
    """The three parts of such a stage.

    `claim(room)` leases up to `room` tasks and says how many and what to do, in a transaction.
    `call(step)` does it outside and never raises. `record(pairs)` writes what came of it, in
    one transaction, all or nothing.
    """

    queue: Queue
    claim: Callable[[int], Awaitable[tuple[int, Sequence[Step]]]]
    call: Callable[[Step], Awaitable[Outcome]]
    record: Callable[[Sequence[tuple[Step, Outcome]]], Awaitable[None]]
    flying_max: int


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
            due = leased == room
            flying |= {asyncio.create_task(_fly(stage, step)) for step in steps}
        if flying:
            landed, flying = await _wait(flying, None if due else bell.rung)
            due = due or bell.rung.is_set()
            await _record(stage, [task.result() for task in landed])


async def _claim(stage: Stage[Step, Outcome], room: int) -> tuple[int, Sequence[Step]]:
    try:
        return await stage.claim(room)
    except Unavailable as outage:
        log.warning("%s waits for the database: %s", stage.queue, outage)
        return 0, ()


async def _fly(stage: Stage[Step, Outcome], step: Step) -> tuple[Step, Outcome]:
    return step, await stage.call(step)


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

    async def run(part: Sequence[tuple[Step, Outcome]]) -> Sequence[None]:
        await stage.record(part)
        return [None] * len(part)

    metrics.group_size.labels(stage=stage.queue.value).observe(len(pairs))
    try:
        failures = await in_halves(pairs, run)
    except Unavailable as outage:
        log.warning("%d results of %s wait for their lease: %s", len(pairs), stage.queue, outage)
        return
    for (step, _), failure in zip(pairs, failures, strict=True):
        if failure is not None:
            log.error("The result of %s was not recorded", step, exc_info=failure)
