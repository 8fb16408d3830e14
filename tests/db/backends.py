"""Server processes as tests see them: waited for until they block, and killed."""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database, fetch, transaction
from tests.waiting import eventually

# Below the time after which the transaction that others wait for is cut.
BLOCKED_WITHIN_S = 5.0

Admin = psycopg.AsyncConnection[Any]
Use = Callable[[AsyncConnection], Awaitable[object]]


async def in_transaction(database: Database, use: Use) -> None:
    """Do one thing in a transaction of its own."""
    async with transaction(database) as tx:
        await use(tx)


async def until_blocked(admin: Admin, count: int = 1) -> None:
    """Return once so many connections of the same database wait for locks."""

    async def blocked() -> bool:
        found = await admin.execute(
            """
            SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'
            """
        )
        return found.rowcount == count

    await eventually(blocked, within_s=BLOCKED_WITHIN_S)


async def backend(tx: AsyncConnection) -> int:
    """Give the process id of the server that serves a transaction."""
    [pid] = await fetch(tx, int, "SELECT pg_backend_pid()", {})
    return pid


async def kill(admin: Admin, *pids: int) -> None:
    """End server processes, and return when they have ended."""
    for pid in pids:
        ended = await admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        assert await ended.fetchone() == (True,)
