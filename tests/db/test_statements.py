"""Slow statements are told by name, with the cost of a plan and never with a value."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import psycopg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import AdaptedConnection, event
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import greenlet_spawn

from db import orders, queues
from db.engine import Database, connect, transaction
from db.orders import Filter
from db.statements import SlowStatements, generic
from ops.config import Settings
from tests.waiting import eventually

EMAIL = "nobody-may-read-this@example.com"
READ = "db.queues._read"
VIEWS = "db.orders._views"
ALL = {READ, VIEWS, "db.orders._lines"}


def _told(caplog: pytest.LogCaptureFixture, message: str) -> dict[object, dict[str, object]]:
    fields = [vars(record)["fields"] for record in caplog.records if record.message == message]
    return {each["statement"]: each for each in fields}


@pytest.fixture
async def watched(settings: Settings) -> AsyncGenerator[Database]:
    """A database in which every statement is slow, with a connection that nobody needs."""
    slow = msgspec.structs.replace(settings, slow_statement_ms=0.000_001)
    made = connect(slow, name="orderflow tests", ring=lambda _: None)
    async with transaction(made), transaction(made):
        pass
    yield made
    await made.engine.dispose()


async def _look(database: Database) -> None:
    async with transaction(database) as tx:
        await queues.page(tx)
        await orders.page(tx, Filter(email=EMAIL), before=None, limit=7)


async def test_slow_statement_is_told_by_the_function_that_ran_it(
    watched: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def counted() -> float:
        labels = {"statement": READ}
        return REGISTRY.get_sample_value("orderflow_db_statements_slow_total", labels) or 0

    before = counted()

    with caplog.at_level(logging.WARNING, logger="db.statements"):
        await _look(watched)

    told = _told(caplog, "Slow statement")
    assert set(told) == ALL
    assert isinstance(told[READ]["duration_ms"], float)
    assert counted() == before + 1


async def test_cost_of_its_plan_follows_and_no_value_is_told(
    watched: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def plans() -> bool:
        # One at a time, and each once: the second look asks for what the first had no turn for.
        await _look(watched)
        return set(_told(caplog, "Plan of a slow statement")) == ALL

    with caplog.at_level(logging.DEBUG, logger="db.statements"):
        await eventually(plans)
        await _look(watched)

    messages = [record.message for record in caplog.records]
    assert messages.count("Plan of a slow statement") == len(ALL)
    plan = _told(caplog, "Plan of a slow statement")[VIEWS]
    assert float(str(plan["cost"])) > 0
    assert plan.keys() == {"statement", "cost", "rows", "node"}
    assert EMAIL not in json.dumps([vars(r) for r in caplog.records], default=str)


async def test_plan_is_not_asked_of_a_pool_that_has_no_room(watched: Database) -> None:
    slow = SlowStatements()
    slow.engine = watched.engine

    asking = _asked(slow)
    await watched.engine.dispose()
    await asking

    # Nobody would close what the plan had made there.
    pool = watched.engine.pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedin() == 0


async def test_connection_of_a_plan_does_not_return_to_a_pool_that_is_gone(
    watched: Database, caplog: pytest.LogCaptureFixture
) -> None:
    slow = SlowStatements()
    slow.engine = watched.engine
    pool = watched.engine.pool
    lent: list[psycopg.AsyncConnection[Any]] = []

    def lend(connection: AdaptedConnection, *_: object) -> None:
        lent.append(connection.driver_connection)
        watched.engine.sync_engine.dispose(close=False)

    event.listen(pool, "checkout", lend)

    with caplog.at_level(logging.WARNING, logger="db.statements"):
        await _asked(slow)

    assert "statement" in _told(caplog, "Plan of a slow statement")
    assert [connection.closed for connection in lent] == [True]
    await greenlet_spawn(pool.dispose)


def _asked(slow: SlowStatements) -> asyncio.Task[None]:
    """Tell of a slow statement; the task, not begun yet, that asks for its plan."""
    before = asyncio.all_tasks()
    slow.tell("statement", 1.0, "SELECT 1")
    [asking] = asyncio.all_tasks() - before
    return asking


async def test_fast_statements_are_not_told(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="db.statements"):
        await _look(database)

    assert _told(caplog, "Slow statement") == {}


def test_parameters_stand_for_no_value() -> None:
    query = " SELECT %(a)s, %(b)b::text[], %(a)s WHERE x LIKE '5%%' "

    assert generic(query) == "SELECT $1, $2::text[], $1 WHERE x LIKE '5%'"
