"""Poison: tasks that no worker survives, or that need more than it has."""

import os
import resource
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from signal import SIGKILL
from uuid import UUID

import msgspec
import psutil
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.location import Preference
from domain.mail import Delivery, Mail
from domain.task import Notice, Task, Verdict
from workers import inventory, notifications
from workers.leased import Stage
from workers.notifications import Errand, Postman

# In the payload of a task.
POISON = "poison"
# Of memory beyond what the process has, and taken in pieces.
_MEMORY_BYTES = 256 << 20
_PIECE_BYTES = 4 << 20


class Poison(StrEnum):
    EXCEPTION = "exception"  # it says nothing of what to do, so that preparing it raises
    SIGKILL = "sigkill"
    ENDLESS = "endless"
    MEMORY = "memory"


def take(task: Task) -> None:
    """Come to harm if the task is poison."""
    if harm := _HARM.get(str(task.payload.get(POISON))):
        harm()


def _die() -> None:
    os.kill(os.getpid(), SIGKILL)


def _spin() -> None:
    while True:
        pass


def _devour() -> None:
    """Take memory until there is none. Raises MemoryError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        # Not every system holds to such a limit: there it is not passed by much.
        held = [bytearray(_PIECE_BYTES) for _ in range(2 * _MEMORY_BYTES // _PIECE_BYTES)]
        raise MemoryError(f"{len(held)} pieces are held.")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


_HARM: Mapping[str, Callable[[], None]] = {
    Poison.SIGKILL: _die,
    Poison.ENDLESS: _spin,
    Poison.MEMORY: _devour,
}
# Beside the poison: it is met while a call is made, not while it is prepared.
IN_CALL = "in_call"

# The worker of a storm puts what is here in their places.
_reserve, _stage = inventory.reserve, notifications.stage


async def reserve(tx: AsyncConnection, group: Sequence[Task], *, preference: Preference) -> None:
    """Reserve as workers do, and take the poison that is in the group."""
    for task in group:
        take(task)
    await _reserve(tx, group, preference=preference)


def stage(postman: Postman) -> Stage[Errand, Delivery]:
    """Put the notifications together as workers do, with the poison that is among them."""
    sound = _stage(postman)

    async def prepare(tx: AsyncConnection, group: Sequence[Task]) -> Sequence[Errand | Verdict]:
        doses = {task.id: _dose(task) for task in group if IN_CALL in task.payload}
        rest = [task for task in group if task.id not in doses]
        for task in rest:
            take(task)
        steps = iter(await sound.prepare(tx, rest))
        return [doses[task.id] if task.id in doses else next(steps) for task in group]

    async def call(errand: Errand) -> Delivery:
        take(errand.task)
        return await sound.call(errand)

    return msgspec.structs.replace(sound, prepare=prepare, call=call)


def _dose(task: Task) -> Errand:
    """Make an errand that ends the worker before it gets anywhere."""
    return Errand(task, (UUID(int=0), Notice.ORDER_CONFIRMED), Mail("", "", "", ""))
