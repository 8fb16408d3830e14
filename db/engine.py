"""Connections to Postgres: the engine, the one door to a transaction, statements on it."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from time import perf_counter
from typing import Any, ClassVar, LiteralString, TypeVar, cast

import msgspec
import psycopg
from psycopg.rows import args_row
from psycopg.types.json import set_json_dumps, set_json_loads
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.link import JOINS, LINK, LOOKUPS_ONLY, address, cut_late, session
from db.statements import SlowStatements, timed
from domain.actor import Actor
from domain.refusal import Refusal
from domain.status import Status
from domain.task import Queue
from ops.config import Settings
from ops.telemetry import faultpoint, metrics
from ops.telemetry.faultpoint import Commit, Side

log = logging.getLogger(__name__)

set_json_loads(msgspec.json.decode)
set_json_dumps(msgspec.json.encode)

Row = TypeVar("Row")
Params = Mapping[str, object]
Ring = Callable[[frozenset[Queue]], None]
Forget = Callable[[], None]

# A request that finds no free connection in this time is told to come back (503).
POOL_TIMEOUT_S = 2.0

# Key of a connection's info under which a transaction keeps who acts in it, and what its commit
# sets off.
_AFTER = "orderflow.after_commit"

# SQLSTATEs and their classes that say the server, not the statement, is the trouble (Postgres,
# appendix A): connection, read-only after a failover, a transaction that was left idle too long,
# resources, operator intervention such as a restart, and system errors.
OUTAGE = ("08", "25006", "25P03", "53", "57P", "58")
# Transaction rollback, e.g. a deadlock; a lock and a statement that took too long.
COLLISION, BUSY = "40", ("55P03", "57014")


class Unavailable(Refusal):
    """The database cannot be reached or is out of resources; nothing was decided."""

    code: ClassVar[str] = "unavailable"


class Busy(Refusal):
    """Others held for too long what was needed; nothing was decided, later it may be."""

    code: ClassVar[str] = "unavailable"


class Collision(Busy):
    """Postgres ended the transaction so that others could go on; the same may be run at once."""


class _AfterCommit(msgspec.Struct):
    by: str | None = None  # who acts, as JSON
    rings: set[Queue] = msgspec.field(default_factory=set[Queue])
    moves: list[tuple[Status, float]] = msgspec.field(default_factory=list[tuple[Status, float]])
    commit: Commit | None = None
    forgets: bool = False


class Database(msgspec.Struct, frozen=True):
    """An engine, and who is told once something is committed: of new work, and that caches lie."""

    engine: AsyncEngine
    ring: Ring
    timeout_s: float
    forget: Forget


def connect(
    settings: Settings, *, name: str, ring: Ring, forget: Forget = lambda: None
) -> Database:
    """Make the pool of one process; connections open on first use.

    Raises ValueError if DATABASE_URL is empty.
    """
    if not settings.database_url:
        raise ValueError("DATABASE_URL is empty: set it, or start everything with `make up`.")
    link: dict[str, object] = {"application_name": name, "options": session(settings), **LINK}
    slow = SlowStatements()
    if settings.slow_statement_ms:
        link["cursor_factory"] = timed(slow, slow_s=settings.slow_statement_ms / 1000)
    slow.engine = engine = create_async_engine(
        address(settings.database_url),
        pool_size=settings.database_pool_max,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        # The parameters of a statement that failed are of people, and an error ends up in logs.
        hide_parameters=True,
        connect_args=link,
    )
    metrics.db_connections_max.inc(settings.database_pool_max)
    return Database(engine, ring, settings.transaction_timeout_s, forget)


@asynccontextmanager
async def transaction(
    database: Database, *, timeout_s: float | None = None
) -> AsyncGenerator[AsyncConnection]:
    """Open a transaction; commit at the end, then ring for the tasks that were written in it.

    Raises Unavailable for an outage; whether the commit happened is then open. A server that is
    not through after `timeout_s`, TRANSACTION_TIMEOUT_S if not given, counts as out. Raises
    Busy, or Collision, if it was rolled back because of others.
    """
    try:
        async with _connection(database, timeout_s or database.timeout_s) as tx:
            await tx.begin()
            after = _AfterCommit()
            tx.info[_AFTER] = after
            try:
                yield tx
                await _commit(tx, after.commit)
            except BaseException:
                await _report_if_lost(tx)
                raise
    except (psycopg.Error, DBAPIError, PoolExhausted) as error:
        if isinstance(error, PoolExhausted):
            metrics.db_connections_refused.inc()
        if refusal := refusal_of(error):
            raise refusal from error
        forget_values(error)
        raise
    _tell(database, after)


def _tell(database: Database, after: _AfterCommit) -> None:
    for status in {status for status, _ in after.moves}:
        ages_s = [age_s for to, age_s in after.moves if to is status]
        metrics.orders_moves.labels(to=status).inc(len(ages_s))
        metrics.orders_age.labels(to=status).observe_many(ages_s)
    if after.forgets:
        database.forget()
    if after.rings:
        database.ring(frozenset(after.rings))


@asynccontextmanager
async def reading(
    database: Database, *, timeout_s: float | None = None
) -> AsyncGenerator[AsyncConnection]:
    """Open a transaction that sees one snapshot, and in which nothing can be written."""
    async with transaction(database, timeout_s=timeout_s) as tx:
        await tx.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield tx


async def _commit(tx: AsyncConnection, name: Commit | None) -> None:
    if name is None or not faultpoint.is_armed():
        await tx.commit()
        return
    link = (await driver(tx)).pgconn

    def lost(why: str) -> psycopg.OperationalError:
        link.finish()
        return psycopg.OperationalError(why)

    faultpoint.reach(name, Side.BEFORE, lost)
    await tx.commit()
    faultpoint.reach(name, Side.AFTER, lost)


@asynccontextmanager
async def _connection(database: Database, timeout_s: float) -> AsyncGenerator[AsyncConnection]:
    """Take a connection of the pool; it is cut if it is not given back within `timeout_s`.

    A frozen server never answers, not even a request to cancel; a cut fails what waits for it.
    """
    asked = perf_counter()
    with ExitStack() as when_closed:
        async with database.engine.connect() as tx:
            metrics.db_connection_wait.observe(perf_counter() - asked)
            metrics.db_connections_in_use.inc()
            when_closed.callback(metrics.db_connections_in_use.dec)
            clock = asyncio.get_running_loop()
            cut = clock.call_later(timeout_s, cut_late, await driver(tx), timeout_s)
            when_closed.callback(cut.cancel)
            yield tx


async def _report_if_lost(tx: AsyncConnection) -> None:
    """Have the pool replace a lost connection, and those as old: a restart broke them all.

    SQLAlchemy does so once it sees a statement fail; what `driver` runs it does not see.
    """
    if not tx.invalidated and (await driver(tx)).closed:
        with suppress(SQLAlchemyError):
            await tx.exec_driver_sql("SELECT 1")


def ring_after_commit(tx: AsyncConnection, queue: Queue) -> None:
    """Have `queue` rung once the transaction is committed."""
    cast("_AfterCommit", tx.info[_AFTER]).rings.add(queue)


def forget_after_commit(tx: AsyncConnection) -> None:
    """Have this process ask what has changed before it shows again what it has cached."""
    cast("_AfterCommit", tx.info[_AFTER]).forgets = True


def name_commit(tx: AsyncConnection, name: Commit) -> None:
    """Say what the transaction writes, for the fault points around its commit."""
    cast("_AfterCommit", tx.info[_AFTER]).commit = name


def act_as(tx: AsyncConnection, actor: Actor) -> None:
    """Say who causes what is written in the transaction; unsaid, it is a worker."""
    cast("_AfterCommit", tx.info[_AFTER]).by = msgspec.json.encode(actor).decode()


def acting(tx: AsyncConnection) -> str | None:
    """Give who acts, as JSON."""
    return cast("_AfterCommit", tx.info[_AFTER]).by


def count_after_commit(tx: AsyncConnection, moves: Iterable[tuple[Status, float]]) -> None:
    """Have moves of orders, each at its age in seconds, counted once it is committed."""
    cast("_AfterCommit", tx.info[_AFTER]).moves.extend(moves)


def refusal_of(error: Exception) -> Refusal | None:
    """Give the refusal that says that the same may succeed later, if that is so."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = (cause.sqlstate or "") if isinstance(cause, psycopg.Error) else ""
    why = str(cause).partition("\n")[0].rstrip(".")
    lost = isinstance(cause, psycopg.OperationalError) and not state
    if lost or state.startswith(OUTAGE) or isinstance(error, PoolExhausted):
        return Unavailable(f"The database is unavailable: {why}.")
    if state.startswith(COLLISION):
        return Collision(f"The database is busy: {why}.")
    return Busy(f"The database is busy: {why}.") if state in BUSY else None


def forget_values(error: Exception) -> None:
    """Keep of an error its first line: the DETAIL below it quotes the row, e-mail and hash too.

    Errors are logged, and are the reason that a failed task shows to staff.
    """
    cause = error.orig if isinstance(error, DBAPIError) else None
    for each in (error, cause):
        if each is not None:
            each.args = (str(each.args[0] if each.args else "").partition("\n")[0],)


async def driver(tx: AsyncConnection) -> psycopg.AsyncConnection[Any]:
    """Give the connection of psycopg below; group statements skip SQLAlchemy's cost."""
    raw = await tx.get_raw_connection()
    return cast("psycopg.AsyncConnection[Any]", raw.driver_connection)


async def fetch(
    tx: AsyncConnection, row: Callable[..., Row], query: LiteralString, params: Params
) -> list[Row]:
    """Run a statement and build one `row(*columns)` of each row."""
    connection = await driver(tx)
    async with connection.cursor(binary=True, row_factory=args_row(row)) as cursor:
        await cursor.execute(query, params)
        return await cursor.fetchall()


async def run(tx: AsyncConnection, query: LiteralString, params: Params) -> int:
    """Run a statement; returns how many rows it touched."""
    connection = await driver(tx)
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, params)
        return cursor.rowcount


async def allow_scans(tx: AsyncConnection) -> None:
    """Let the planner read whole tables until the transaction ends, as sums over them should."""
    for plan in LOOKUPS_ONLY:
        await tx.exec_driver_sql(f"SET LOCAL {plan} = on")


async def allow_joins(tx: AsyncConnection) -> None:
    """Let the planner hash and merge what it has looked up by key, until the transaction ends.

    In one process: what is done beside the traffic takes one core at most.
    """
    for plan in JOINS:
        await tx.exec_driver_sql(f"SET LOCAL {plan} = on")
    await tx.exec_driver_sql("SET LOCAL max_parallel_workers_per_gather = 0")
