"""The breakers of all processes are there to be read, one row each, until they are forgotten."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db import breakers, processes
from db.ids import new_id
from db.processes import LOST_AFTER_S, ProcessKind, Self


async def _live(tx: AsyncConnection, *pids: int) -> None:
    """Have workers live on a host since before anything was written here."""
    for pid in pids:
        own = Self(new_id(), ProcessKind.WORKER, "host", pid, "1.0.0")
        await processes.beat(tx, own, rss_bytes=None, running=())
    await tx.execute(text("UPDATE processes SET started_at = now() - interval '1 day'"))


async def _states(tx: AsyncConnection) -> dict[tuple[str, str], str]:
    return {(view.gateway, view.process): view.state for view in await breakers.page(tx)}


async def test_each_process_has_one_state_for_each_gateway(tx: AsyncConnection) -> None:
    await _live(tx, 1, 2)
    await breakers.put(tx, "stripe", "host:1", "open")
    await breakers.put(tx, "stripe", "host:2", "closed")
    await breakers.put(tx, "other", "host:1", "closed")

    await breakers.put(tx, "stripe", "host:1", "half-open")

    assert await _states(tx) == {
        ("stripe", "host:1"): "half-open",
        ("stripe", "host:2"): "closed",
        ("other", "host:1"): "closed",
    }


async def test_latest_change_is_read_first(tx: AsyncConnection) -> None:
    await _live(tx, 1, 2, 3)
    for process in ("host:1", "host:2", "host:3"):
        await breakers.put(tx, "stripe", process, "open")
        await tx.execute(text("UPDATE gateway_breakers SET since = since - interval '1 min'"))

    await breakers.put(tx, "stripe", "host:1", "closed")

    assert [view.process for view in await breakers.page(tx)] == ["host:1", "host:3", "host:2"]


@pytest.mark.parametrize("state", ["OPEN", "shut", ""])
async def test_state_that_no_breaker_has_is_refused(tx: AsyncConnection, state: str) -> None:
    await breakers.put(tx, "stripe", "host:1", "open")

    with pytest.raises(IntegrityError, match="violates check constraint"):
        await tx.execute(text("UPDATE gateway_breakers SET state = :state"), {"state": state})


async def test_breakers_that_have_not_changed_for_days_are_forgotten(tx: AsyncConnection) -> None:
    await breakers.put(tx, "stripe", "gone", "open")
    await tx.execute(text("UPDATE gateway_breakers SET since = now() - interval '8 days'"))
    await breakers.put(tx, "stripe", "there", "open")

    await breakers.prune(tx, keep_days=7)

    left = await tx.execute(text("SELECT process FROM gateway_breakers"))
    assert left.scalars().all() == ["there"]


async def test_breaker_that_died_open_is_open_for_nobody(tx: AsyncConnection) -> None:
    await _live(tx, 1, 2)
    for pid in (1, 2, 3):
        await breakers.put(tx, "stripe", f"host:{pid}", "open")
    lost = "UPDATE processes SET heartbeat_at = now() - make_interval(secs => :s) WHERE pid = 1"
    await tx.execute(text(lost), {"s": LOST_AFTER_S})

    assert await _states(tx) == {("stripe", "host:2"): "open"}

    # One after it has its name.
    later = "UPDATE processes SET started_at = now() + interval '1 s'"
    await tx.execute(text(later))
    assert await _states(tx) == {}
