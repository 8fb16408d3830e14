"""Breakers: how each process's breaker of a gateway is and was, and what people made of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import fetch, run
from db.processes import LOST_AFTER_S


class BreakerView(msgspec.Struct, frozen=True):
    gateway: str
    process: str
    state: str
    since: datetime


class Change(msgspec.Struct, frozen=True):
    """A change of one process's breaker; a `forced` one while a person held it."""

    id: int
    gateway: str
    process: str
    state: str
    forced: bool
    at: datetime


class Switch(msgspec.Struct, frozen=True):
    """What a person made of all breakers of a gateway, `open` or `closed`, until it is released."""

    gateway: str
    forced: str
    note: str
    by: str | None
    since: datetime


async def put(tx: AsyncConnection, gateway: str, process: str, state: str) -> None:
    """Write the state of one process's breaker, and keep that it changed."""
    await run(
        tx,
        """
        WITH kept AS (
            INSERT INTO gateway_breaker_changes (gateway, process, state, forced)
            VALUES (%(gateway)s, %(process)s, %(state)s,
                    EXISTS (SELECT FROM gateway_switches WHERE gateway = %(gateway)s))
        )
        INSERT INTO gateway_breakers (gateway, process, state)
        VALUES (%(gateway)s, %(process)s, %(state)s)
        ON CONFLICT (gateway, process) DO UPDATE SET state = excluded.state, since = now()
        """,
        {"gateway": gateway, "process": process, "state": state},
    )


async def history(tx: AsyncConnection, *, limit: int) -> Sequence[Change]:
    """List changes, newest first."""
    return await fetch(
        tx,
        Change,
        """
        SELECT id, gateway, process, state, forced, at FROM gateway_breaker_changes
        ORDER BY id DESC LIMIT %(limit)s
        """,
        {"limit": limit},
    )


async def force(
    tx: AsyncConnection, gateway: str, forced: str | None, *, note: str, actor: UUID | None
) -> str | None:
    """Have every process hold its breaker so, or as it is by itself; gives how it was held."""
    found = await fetch(
        tx,
        str,
        "SELECT forced FROM gateway_switches WHERE gateway = %(gateway)s FOR UPDATE",
        {"gateway": gateway},
    )
    if forced is None:
        query = "DELETE FROM gateway_switches WHERE gateway = %(gateway)s"
        await run(tx, query, {"gateway": gateway})
    else:
        await run(
            tx,
            """
            INSERT INTO gateway_switches (gateway, forced, note, actor)
            VALUES (%(gateway)s, %(forced)s, %(note)s, %(actor)s)
            ON CONFLICT (gateway) DO UPDATE SET forced = excluded.forced, note = excluded.note,
                actor = excluded.actor, since = now()
            """,
            {"gateway": gateway, "forced": forced, "note": note, "actor": actor},
        )
    return found[0] if found else None


async def switches(tx: AsyncConnection) -> Mapping[str, Switch]:
    """Read what people made of the breakers, by gateway; there are a handful."""
    rows = await fetch(
        tx,
        Switch,
        """
        SELECT gateway, forced, note, u.email, since
        FROM gateway_switches LEFT JOIN users u ON u.id = actor ORDER BY gateway LIMIT 100
        """,
        {},
    )
    return {row.gateway: row for row in rows}


async def prune_history(tx: AsyncConnection, *, keep_days: int, limit: int) -> int:
    """Delete changes older than `keep_days`; returns how many went."""
    return await run(
        tx,
        """
        DELETE FROM gateway_breaker_changes WHERE id IN (
            SELECT id FROM (
                SELECT id, at FROM gateway_breaker_changes ORDER BY id LIMIT %(limit)s
            ) AS first WHERE at < now() - make_interval(days => %(days)s))
        """,
        {"days": keep_days, "limit": limit},
    )


async def page(tx: AsyncConnection) -> list[BreakerView]:
    """Read the breakers that living processes ever changed: one that died open, opens for nobody.

    Another process may have the name of a dead one, in a container whose host keeps its name.
    """
    return await fetch(
        tx,
        BreakerView,
        """
        SELECT gateway, process, state, since FROM gateway_breakers AS breaker
        WHERE EXISTS (SELECT FROM processes
                      WHERE host || ':' || pid = breaker.process AND started_at <= breaker.since
                        AND heartbeat_at > now() - make_interval(secs => %(lost_after_s)s))
        ORDER BY since DESC LIMIT 200
        """,
        {"lost_after_s": LOST_AFTER_S},
    )


async def prune(tx: AsyncConnection, *, keep_days: int) -> None:
    """Forget breakers that have not changed for days: most of their processes are gone."""
    await run(
        tx,
        "DELETE FROM gateway_breakers WHERE since < now() - make_interval(days => %(days)s)",
        {"days": keep_days},
    )
