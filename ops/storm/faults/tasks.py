"""Faults within the ledger of work: tasks that nobody can do, or that take their worker along."""

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
import psycopg

from domain.task import Kind, Queue
from ops.storm.faults import postgres
from ops.storm.faults.fault import Blow, Fault
from ops.storm.poison import IN_CALL, POISON, Poison

_LANE = "tasks"
# Dead within seconds, as those of a minute would outlive the storm.
_ATTEMPTS_MAX = 2


class _Place(msgspec.Struct, frozen=True):
    """Where poison is met."""

    name: str
    queue: Queue
    kind: Kind
    payload: Mapping[str, str] = {}


_PREPARED = _Place("prepared", Queue.NOTIFICATIONS, Kind.NOTIFY)
_CALLED = _Place("called", Queue.NOTIFICATIONS, Kind.NOTIFY, {IN_CALL: "true"})
# In a stage that touches only Postgres.
_CLAIMED = _Place("claimed", Queue.INVENTORY, Kind.RESERVE)
_WHERE: Mapping[Poison, Sequence[_Place]] = {
    Poison.EXCEPTION: (_PREPARED,),
    Poison.SIGKILL: (_PREPARED, _CALLED, _CLAIMED),
    Poison.ENDLESS: (_PREPARED, _CALLED, _CLAIMED),
    Poison.MEMORY: (_PREPARED, _CLAIMED),
}
# Attempts that cost a process come one by one, each when a lease has run out.
_LASTS_S: Mapping[Poison, float] = {
    Poison.EXCEPTION: 1.0,
    Poison.SIGKILL: 15.0,
    Poison.ENDLESS: 20.0,
    Poison.MEMORY: 3.0,
}


async def _spill(poison: Poison, blow: Blow) -> str:
    place = blow.chance.choice(_WHERE[poison])
    payload = msgspec.json.encode({POISON: poison, **place.payload}).decode()
    await postgres.answering(blow.arena)
    async with await psycopg.AsyncConnection.connect(
        blow.arena.database_url, autocommit=True
    ) as connection:
        await connection.execute(
            "INSERT INTO tasks (queue, kind, payload, attempts_max) VALUES (%s, %s, %s::jsonb, %s)",
            (place.queue.value, place.kind.value, payload, _ATTEMPTS_MAX),
        )
    return f"where a task of {place.queue} is {place.name}"


FAULTS = tuple(
    Fault(
        name=f"poison-{poison}",
        lane=_LANE,
        seconds=_LASTS_S[poison],
        strike=partial(_spill, poison),
    )
    for poison in Poison
)
