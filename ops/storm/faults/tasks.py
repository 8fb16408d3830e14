"""Faults within the ledger of work: tasks that nobody can do."""

import psycopg

from domain.task import Kind, Queue
from ops.storm.faults.fault import Blow, Fault

_LANE = "tasks"
# Dead within seconds, as those of a minute would outlive the storm.
_ATTEMPTS_MAX = 3
# Each raises where it is prepared: no order is named, or nothing is said of what to do.
_POISON = (
    (Queue.INVENTORY, Kind.RESERVE),
    (Queue.PAYMENTS, Kind.CHARGE),
    (Queue.NOTIFICATIONS, Kind.NOTIFY),
)
POISONED = "storm"


async def _poison(blow: Blow) -> str:
    async with await psycopg.AsyncConnection.connect(
        blow.arena.database_url, autocommit=True
    ) as connection:
        for queue, kind in _POISON:
            await connection.execute(
                "INSERT INTO tasks (queue, kind, payload, attempts_max)"
                " VALUES (%s, %s, jsonb_build_object('poison', %s::text), %s)",
                (queue.value, kind.value, POISONED, _ATTEMPTS_MAX),
            )
    return f"{len(_POISON)} tasks"


FAULTS = (Fault(name="poison-exception", lane=_LANE, seconds=1.0, strike=_poison),)
