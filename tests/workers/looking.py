"""A worker in the instant between looking for work and finding none."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy import text

from db.engine import Database, transaction
from domain.task import Queue
from tests.records import be_patient, limit, waits_for_a_lock
from tests.waiting import eventually
from workers.bell import Bell

WORKER = "orderflow worker"


@asynccontextmanager
async def looking(
    database: Database, queue: Queue, bell: Bell
) -> AsyncGenerator[asyncio.Task[None]]:
    """Have a worker look and hold it there; what becomes due meanwhile it does not see.

    The bell belongs to a worker whose connections bear its name.
    """
    # The claims of a queue with a limit wait for each other.
    await limit(database, queue, 100)
    async with transaction(database) as tx:
        await be_patient(tx)
        held = text("SELECT FROM queues WHERE name = :name FOR UPDATE")
        await tx.execute(held, {"name": queue.value})
        answering = asyncio.create_task(bell.answer())
        await eventually(partial(waits_for_a_lock, database, WORKER))
        yield answering
