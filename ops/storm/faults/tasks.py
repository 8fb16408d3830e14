"""Faults within the ledger of work: tasks that nobody can do, or that take their worker along."""

from collections.abc import Mapping, Sequence
from functools import partial

import psycopg

from domain.task import Kind, Queue
from ops.storm.faults.fault import Blow, Fault
from ops.storm.poison import Poison

_LANE = "tasks"
# Dead within seconds, as those of a minute would outlive the storm.
_ATTEMPTS_MAX = 3
_NOTIFICATION = (Queue.NOTIFICATIONS, Kind.NOTIFY)
# A stage that touches only Postgres, and one that calls out.
_BOTH = (_NOTIFICATION, (Queue.INVENTORY, Kind.RESERVE))
_WHERE: Mapping[Poison, Sequence[tuple[Queue, Kind]]] = {
    Poison.EXCEPTION: (_NOTIFICATION,),
    Poison.SIGKILL: _BOTH,
    Poison.ENDLESS: _BOTH,
    Poison.MEMORY: _BOTH,
}
# Attempts that cost a process come one by one, each when a lease has run out.
_LASTS_S: Mapping[Poison, float] = {
    Poison.EXCEPTION: 1.0,
    Poison.SIGKILL: 15.0,
    Poison.ENDLESS: 20.0,
    Poison.MEMORY: 3.0,
}


async def _spill(poison: Poison, blow: Blow) -> str:
    queue, kind = blow.chance.choice(_WHERE[poison])
    async with await psycopg.AsyncConnection.connect(
        blow.arena.database_url, autocommit=True
    ) as connection:
        await connection.execute(
            "INSERT INTO tasks (queue, kind, payload, attempts_max)"
            " VALUES (%s, %s, jsonb_build_object('poison', %s::text), %s)",
            (queue.value, kind.value, poison.value, _ATTEMPTS_MAX),
        )
    return f"a task of {queue}"


FAULTS = tuple(
    Fault(
        name=f"poison-{poison}",
        lane=_LANE,
        seconds=_LASTS_S[poison],
        strike=partial(_spill, poison),
    )
    for poison in Poison
)
