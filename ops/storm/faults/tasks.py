"""Faults within the ledger of work: tasks that nobody can do."""

import psycopg

from domain.task import Kind, Queue
from ops.storm.faults.fault import Blow, Fault

_LANE = "tasks"
# Dead within seconds, as those of a minute would outlive the storm.
_ATTEMPTS_MAX = 3


async def _poison(blow: Blow) -> str:
    """Write a task that says nothing of what to tell: it raises wherever it is prepared."""
    async with await psycopg.AsyncConnection.connect(
        blow.arena.database_url, autocommit=True
    ) as connection:
        await connection.execute(
            "INSERT INTO tasks (queue, kind, payload, attempts_max)"
            " VALUES (%s, %s, jsonb_build_object('poison', true), %s)",
            (Queue.NOTIFICATIONS.value, Kind.NOTIFY.value, _ATTEMPTS_MAX),
        )
    return "a task"


FAULTS = (Fault(name="poison-exception", lane=_LANE, seconds=1.0, strike=_poison),)
