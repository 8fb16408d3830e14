"""A task that takes its worker process with it is dead after its attempts, and alone in that."""

from functools import partial
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import text

from db.engine import Database, transaction
from domain.task import Kind
from ops.local.program import Program
from ops.local.supervise import supervised
from tests.builders import a_placement, place, put_products
from tests.records import statuses, work
from tests.scenarios.processes import Surroundings, program, said
from tests.waiting import eventually
from workers.clock import LEASE_EXPIRED

ATTEMPTS_MAX = 2
# Each attempt costs a process, a restart and a lease.
DEAD_WITHIN_S = 90.0


def brief(surroundings: Surroundings) -> Surroundings:
    """Have everything given up soon."""
    settings = msgspec.structs.replace(
        surroundings.settings,
        lock_timeout_s=0.5,
        statement_timeout_s=1.0,
        transaction_timeout_s=1.5,
        idle_in_transaction_timeout_s=2.0,
        gateway_timeout_s=0.3,
        task_timeout_s=0.5,
        shutdown_grace_s=1,
        lease_s=2.5,
    )
    return msgspec.structs.replace(surroundings, settings=settings)


def poisoned(surroundings: Surroundings, order_id: UUID, harm: str) -> Program:
    worker = program("worker", surroundings)
    argv = tuple(word.replace("scenarios.worker", "scenarios.poisoned") for word in worker.argv)
    env = {**worker.env, "POISONED_ORDER": str(order_id), "HARM": harm}
    return msgspec.structs.replace(worker, argv=argv, env=env)


async def placed(database: Database) -> tuple[list[UUID], UUID]:
    """Place orders the third of which will be poison, with few attempts."""
    await put_products(database, APPLE=100)
    ids = await place(database, *(a_placement(("APPLE", 1)) for _ in range(7)))
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE tasks SET attempts_max = :most"), {"most": ATTEMPTS_MAX})
    return [*ids[:2], *ids[3:]], ids[2]


async def is_dead(database: Database, order_id: UUID) -> bool:
    return (await work(database, order_id, Kind.RESERVE)).state == "dead"


@pytest.mark.parametrize("harm", ["die", "spin", "sleep"])
async def test_task_that_ends_its_process_is_dead_after_its_attempts_and_the_others_are_done(
    database: Database, surroundings: Surroundings, harm: str
) -> None:
    here = brief(surroundings)
    others, poison = await placed(database)
    programs = [poisoned(here, poison, harm), program("clock", here)]

    async with supervised(programs, say=said, grace_s=0.01):
        await eventually(partial(is_dead, database, poison), within_s=DEAD_WITHIN_S)

    task = await work(database, poison, Kind.RESERVE)
    assert task.attempt == ATTEMPTS_MAX
    assert task.last_error in {LEASE_EXPIRED, "TimeoutError: "}
    assert await statuses(database) == {"reserved": 6, "placed": 1}
    for order_id in others:
        assert (await work(database, order_id, Kind.RESERVE)).state == "done"
