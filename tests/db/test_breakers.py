"""The breakers of all processes are there to be read, one row each, until they are forgotten."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from db import breakers


async def _states(tx: AsyncConnection) -> dict[tuple[str, str], str]:
    return {(view.gateway, view.process): view.state for view in await breakers.page(tx)}


async def test_each_process_has_one_state_for_each_gateway(tx: AsyncConnection) -> None:
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

    assert await _states(tx) == {("stripe", "there"): "open"}
