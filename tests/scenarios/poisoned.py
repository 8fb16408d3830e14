"""A worker process for which one order is poison: reserving for it ends in a named harm."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

import dramatiq
from sqlalchemy.ext.asyncio import AsyncConnection

from db.doorbell import Doorbell, broker
from db.engine import connect
from domain.task import Queue, Task
from ops.config import settings
from ops.telemetry import logs
from workers import claimed, inventory
from workers.bell import Bell
from workers.fleet import Lifecycle


async def die() -> None:
    """End as whoever has eaten all memory does."""
    os.kill(os.getpid(), signal.SIGKILL)


async def spin() -> None:
    """Let nothing else in this process go on."""
    while True:
        pass


async def sleep() -> None:
    """Wait for what never comes."""
    await asyncio.Event().wait()


HARM: Mapping[str, Callable[[], Awaitable[None]]] = {"die": die, "spin": spin, "sleep": sleep}

_poisoned = UUID(os.environ["POISONED_ORDER"])
_harm = HARM[os.environ["HARM"]]


async def reserve(tx: AsyncConnection, group: Sequence[Task]) -> None:
    """Reserve, and come to harm if the poisoned order is in the group."""
    await inventory.reserve(tx, group)
    if any(task.order_id == _poisoned for task in group):
        await _harm()


_settings = settings()
logs.configure("worker", _settings.log_level)
_lifecycle = Lifecycle(patience_s=_settings.lease_s)
made = broker(_settings, [_lifecycle])
_database = connect(_settings, name="orderflow worker", ring=Doorbell(made).ring)
_stage = claimed.Stage(_database, Queue.INVENTORY, reserve, _settings.group_max, _settings.lease_s)
_bell = Bell(partial(claimed.drain, _stage))
_lifecycle.bells, _lifecycle.closers = [_bell], [_database.engine.dispose]
dramatiq.actor(broker=made, queue_name=Queue.INVENTORY, actor_name=Queue.INVENTORY)(_bell.answer)
dramatiq.set_broker(made)
