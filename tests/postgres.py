"""Trouble with Postgres, made to order: rules that fail, locks that last, wires that are cut."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy import column, func, literal_column, select, table
from sqlalchemy.engine import URL, make_url

from db.engine import Database, transaction

DEADLINE_S = 20
CHUNK_BYTES = 65536


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask a server until it is so; TimeoutError if it never is."""
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():
            pass


async def waiting_for_locks(database: Database) -> int:
    """Count the statements of the web application that wait for a lock."""
    return await _of_web(database, "count(*) FILTER (WHERE wait_event_type = 'Lock')")


async def connections(database: Database) -> int:
    """Count the connections of the web application."""
    return await _of_web(database, "count(*)")


async def terminate(database: Database) -> None:
    """Break all connections of the web application, as a restart of Postgres does."""
    await _of_web(database, "count(pg_terminate_backend(pid, 5000))")


async def _of_web(database: Database, what: str) -> int:
    # Other workers of the test run have web applications of their own, in other databases.
    ours = column("datname") == func.current_database()
    web = ours & (column("application_name") == "orderflow web")
    query = select(literal_column(what)).select_from(table("pg_stat_activity")).where(web)
    async with transaction(database) as tx:
        return await tx.scalar(query) or 0


@asynccontextmanager
async def locked(database: Database, table: str) -> AsyncGenerator[None]:
    """Keep everybody else from writing to a table."""
    async with transaction(database) as tx:
        await tx.exec_driver_sql(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        yield


@asynccontextmanager
async def rule(
    database: Database, table: str, body: str, *, at_commit: bool = False
) -> AsyncGenerator[None]:
    """Run PL/pgSQL for every row that is written to a table, at once or when it is committed.

    The sequence rule_calls is its memory: what it counts outlasts a rollback.
    """
    constraint, deferred = ("CONSTRAINT", "INITIALLY DEFERRED") if at_commit else ("", "")
    async with transaction(database) as tx:
        await tx.exec_driver_sql("CREATE SEQUENCE rule_calls")
        await tx.exec_driver_sql(
            "CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql"
            f" AS $$BEGIN {body} RETURN NEW; END$$"
        )
        await tx.exec_driver_sql(
            f"CREATE {constraint} TRIGGER rule AFTER INSERT OR UPDATE ON {table} {deferred}"
            " FOR EACH ROW EXECUTE FUNCTION rule()"
        )
    try:
        yield
    finally:
        async with transaction(database) as tx:
            await tx.exec_driver_sql("DROP FUNCTION rule() CASCADE")
            await tx.exec_driver_sql("DROP SEQUENCE rule_calls")


class Wire:
    """A way to Postgres that can be cut, or freeze; `url` leads through it."""

    def __init__(self, database_url: str) -> None:
        self.url = database_url
        self.is_down = False
        self.is_frozen = False
        self.cut_at_commit = False  # of the next that places orders
        self.commits_cut = 0
        self._upstream = make_url(database_url)
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def laid(self) -> AsyncGenerator["Wire"]:
        """Listen at `url` until the block ends."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        username = self._upstream.username or str(self._upstream.query.get("user", "")) or None
        through = self._upstream.set(host="127.0.0.1", port=port, username=username, query={})
        self.url = through.render_as_string(hide_password=False)
        yield self
        server.close()
        self.cut()
        await server.wait_closed()

    def cut(self) -> None:
        """Break what is connected now."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.transport.abort()
            return
        answers, questions = await _open(self._upstream)
        ends = {writer, questions}
        self._writers |= ends
        committing = asyncio.Event()
        await asyncio.wait(
            {
                asyncio.create_task(self._carry_questions(reader, questions, committing)),
                asyncio.create_task(self._carry_answers(answers, writer, committing)),
            },
            return_when=asyncio.FIRST_COMPLETED,
        )
        for end in ends:
            end.transport.abort()
        self._writers -= ends

    async def _carry_questions(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        committing: asyncio.Event,
    ) -> None:
        placing = False
        while asked := await reader.read(CHUNK_BYTES):
            # A heartbeat commits as well, and may do so at the same moment.
            placing = placing or b"INSERT INTO orders" in asked
            if b"COMMIT" in asked:
                if self.cut_at_commit and placing:
                    committing.set()
                placing = False
            writer.write(asked)

    async def _carry_answers(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        committing: asyncio.Event,
    ) -> None:
        while answered := await reader.read(CHUNK_BYTES):
            if self.is_frozen:
                continue
            if committing.is_set():
                # It is committed, but nobody will hear of it.
                self.cut_at_commit = False
                self.commits_cut += 1
                return
            writer.write(answered)


async def _open(url: URL) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.query.get("host", url.host), url.query.get("port", url.port or 5432)
    if str(host).startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(str(host), int(str(port)))
