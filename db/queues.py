"""Queues: paused and limited by people; how much of each runs and waits."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, ring_after_commit, run
from domain.refusal import NotFound
from domain.task import Queue

# One per stage, and a few that a newer release has.
QUEUES_MAX = 100


class QueueView(msgspec.Struct, frozen=True):
    """A queue; no `running_max` is no limit."""

    name: str
    paused: bool
    running_max: int | None
    ready: int
    running: int
    dead: int


async def page(tx: AsyncConnection) -> list[QueueView]:
    """List all queues by name."""
    return await _read(tx, None)


async def get(tx: AsyncConnection, name: str) -> QueueView:
    """Read a queue; raises NotFound."""
    found = await _read(tx, name)
    if not found:
        raise NotFound(f"There is no queue {name}.")
    return found[0]


async def put(
    tx: AsyncConnection, name: Queue, *, paused: bool, running_max: int | None
) -> QueueView:
    """Pause or resume a queue, and limit it; one that is not paused is rung after commit."""
    await run(
        tx,
        "UPDATE queues SET paused = %(paused)s, running_max = %(max)s WHERE name = %(name)s",
        {"name": name.value, "paused": paused, "max": running_max},
    )
    if not paused:
        ring_after_commit(tx, name)
    return await get(tx, name.value)


async def _read(tx: AsyncConnection, name: str | None) -> list[QueueView]:
    """Read queues; each state is counted by its own index, which has nothing of what is done."""
    return await fetch(
        tx,
        QueueView,
        """
        SELECT name, paused, running_max,
               (SELECT count(*) FROM tasks WHERE queue = name AND state = 'ready'),
               (SELECT count(*) FROM tasks WHERE queue = name AND state = 'running'),
               (SELECT count(*) FROM tasks WHERE queue = name AND state = 'dead')
        FROM queues WHERE name = coalesce(%(name)s::text, name) ORDER BY name LIMIT %(limit)s
        """,
        {"name": name, "limit": QUEUES_MAX},
    )
