"""Breakers: the state that each process's breaker of a gateway is in, for all to read."""

from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run


class BreakerView(msgspec.Struct, frozen=True):
    gateway: str
    process: str
    state: str
    since: datetime


async def put(tx: AsyncConnection, gateway: str, process: str, state: str) -> None:
    """Write the state of one process's breaker."""
    await run(
        tx,
        """
        INSERT INTO gateway_breakers (gateway, process, state)
        VALUES (%(gateway)s, %(process)s, %(state)s)
        ON CONFLICT (gateway, process) DO UPDATE SET state = excluded.state, since = now()
        """,
        {"gateway": gateway, "process": process, "state": state},
    )


async def page(tx: AsyncConnection) -> list[BreakerView]:
    """Read the breakers of all processes that ever changed one."""
    return await fetch(
        tx,
        BreakerView,
        "SELECT gateway, process, state, since FROM gateway_breakers ORDER BY since DESC LIMIT 200",
        {},
    )


async def prune(tx: AsyncConnection, *, keep_days: int) -> None:
    """Forget breakers that have not changed for days: most of their processes are gone."""
    await run(
        tx,
        "DELETE FROM gateway_breakers WHERE since < now() - make_interval(days => %(days)s)",
        {"days": keep_days},
    )
