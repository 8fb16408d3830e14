"""A fault of the disk that the servers share: not a byte of it is left."""

import asyncio

from ops.storm import disk
from ops.storm.arena import Arena
from ops.storm.faults.fault import Blow, Fault, NotHere

# Postgres may stop over it, and is to be left alone until it is back.
_LANE = "postgres"


async def _fill(blow: Blow) -> str:
    small = blow.arena.disk
    if small is None:
        raise NotHere("no filesystem can be mounted")
    taken = await asyncio.to_thread(disk.fill, small)
    try:
        await asyncio.sleep(blow.seconds)
    finally:
        disk.empty(small)
    return f"{taken >> 20} MB taken, nothing left"


async def mend(arena: Arena) -> None:
    """Give the disk back."""
    if arena.disk is not None:
        await asyncio.to_thread(disk.empty, arena.disk)


FAULTS = (Fault(name="disk-full", lane=_LANE, seconds=4.0, strike=_fill),)
