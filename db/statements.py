"""Slow statements: told by the name of the function that ran them and their plan's cost.

Never by their values: of a statement only its text is explained, with `EXPLAIN (GENERIC_PLAN)`,
which plans parameters as unknown and runs nothing (Postgres 16; on 15 there is no cost). The
module auto_explain, which would know the very plan, cannot be loaded on managed servers, writes to
the server's log and writes values there.
"""

import asyncio
import inspect
import logging
import re
from time import perf_counter
from typing import Any

import msgspec
import psycopg
from psycopg.abc import Query
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from ops.telemetry import metrics

log = logging.getLogger(__name__)

# A plan changes with the statistics, which change by the hour.
EXPLAIN_AGAIN_S = 600.0
EXPLAIN_WITHIN_S = 1.0

_OURS = ("api.", "db.", "workers.", "ops.")
# Where every statement comes by.
_DOORS = frozenset({__name__, "db.engine"})
_PARAMETER = re.compile(r"%\((\w+)\)[sbt]")
_EXPLAINED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


class _Plan(
    msgspec.Struct, rename={"cost": "Total Cost", "rows": "Plan Rows", "node": "Node Type"}
):
    cost: float
    rows: float
    node: str


class _Explained(msgspec.Struct, rename={"plan": "Plan"}):
    plan: _Plan


class SlowStatements:
    """Tells of the slow statements of one engine.

    One plan at a time is asked for, once per statement in EXPLAIN_AGAIN_S, and only by a connection
    of the pool that nobody needs: what is slow already is not made slower.
    """

    def __init__(self) -> None:
        self.engine: AsyncEngine | None = None
        self._explained: dict[str, float] = {}
        self._asking: asyncio.Task[None] | None = None

    def tell(self, name: str, seconds: float, query: Query) -> None:
        """Log a statement, and what its plan would cost as soon as that is known."""
        metrics.db_statements_slow.labels(name).inc()
        fields = {"statement": name, "duration_ms": round(seconds * 1000, 1)}
        log.warning("Slow statement", extra={"fields": fields})
        if isinstance(query, str) and self._may_ask(name):
            self._explained[name] = perf_counter()
            self._asking = asyncio.create_task(self._explain(name, query))

    def _may_ask(self, name: str) -> bool:
        if self._asking is not None and not self._asking.done():
            return False
        last, now = self._explained.get(name), perf_counter()
        return self._has_room() and (last is None or now - last > EXPLAIN_AGAIN_S)

    def _has_room(self) -> bool:
        pool = self.engine and self.engine.sync_engine.pool
        return isinstance(pool, QueuePool) and pool.checkedin() > 0

    async def _explain(self, name: str, query: str) -> None:
        statement = generic(query)
        # A pool that was disposed of since has no room: nobody would close what it made anew.
        if (
            self.engine is None
            or not self._has_room()
            or not statement.upper().startswith(_EXPLAINED)
        ):
            return
        pool = self.engine.sync_engine.pool
        try:
            async with asyncio.timeout(EXPLAIN_WITHIN_S), self.engine.connect() as idle:
                raw = (await idle.get_raw_connection()).driver_connection
                try:
                    plan = await _plan(raw, statement)
                finally:
                    # A pool that was disposed of meanwhile closes nothing that comes back to it.
                    if self.engine.sync_engine.pool is not pool:
                        await idle.invalidate()
        except (psycopg.Error, TimeoutError) as error:
            log.debug("The plan of %s is not known: %s", name, type(error).__name__)
            return
        fields = {"statement": name, "cost": plan.cost, "rows": plan.rows, "node": plan.node}
        log.warning("Plan of a slow statement", extra={"fields": fields})


async def _plan(connection: Any, statement: str) -> _Plan:  # noqa: ANN401 - the driver's, as SQLAlchemy has it
    async with psycopg.AsyncCursor[Any](connection) as cursor:
        # Simple words to the server: a statement that is prepared would need its parameters.
        await cursor.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement}".encode())
        [row] = await cursor.fetchall()
    [explained] = msgspec.convert(row[0], list[_Explained])
    return explained.plan


def generic(query: str) -> str:
    """Write a statement with the parameters of Postgres, which stand for no value."""
    numbers: dict[str, int] = {}

    def numbered(parameter: re.Match[str]) -> str:
        return f"${numbers.setdefault(parameter[1], len(numbers) + 1)}"

    return _PARAMETER.sub(numbered, query).replace("%%", "%").strip()


def timed(slow: SlowStatements, *, slow_s: float) -> type[psycopg.AsyncCursor[Any]]:
    """Make the cursors of connections whose statements are slow once they take `slow_s`."""

    class Timed(psycopg.AsyncCursor[Any]):
        async def execute(self, query: Query, *args: Any, **options: Any) -> "Timed":  # noqa: ANN401 - passed on
            started = perf_counter()
            try:
                return await super().execute(query, *args, **options)
            finally:
                if (seconds := perf_counter() - started) >= slow_s:
                    slow.tell(_caller(), seconds, query)

    return Timed


def _caller() -> str:
    """Name the function of ours that the statement is of; few, as they are in our code."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(_OURS) and module not in _DOORS:
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "other"
