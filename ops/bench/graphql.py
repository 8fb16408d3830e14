"""Count the statements of queries of GraphQL: `python -m ops.bench.graphql`."""

import argparse
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.rows import TupleRow
from sqlalchemy import event

from api.graph_loaders import Loaders
from api.graph_schema import SCHEMA
from db.engine import Database, connect, reading
from ops.bench import goods
from ops.bench.books import opened
from ops.bench.search import postgres
from ops.config import Settings
from ops.local.child import Say
from ops.local.console import console
from ops.local.interrupt import run_until_told
from ops.local.state import CannotStart

# Enough that a statement for each would show.
PRODUCTS = 500
_BREADTHS = (1, 10, 100)

QUERIES: Mapping[str, str] = {
    "page": """query ($n: Int!) { products(first: $n) { items {
        slug name inStock rating { average reviews } } next } }""",
    "shelf": """query ($n: Int!) { products(first: $n, category: "top-1") { items {
        slug variants(currency: "GBP") { sku priceMinor compareAtMinor inStock } } } }""",
    "reviews": """query ($n: Int!) { products(first: $n) { items {
        slug category { slug parent { slug } } reviews(first: 3) { stars title } } } }""",
    "all of it": """query ($n: Int!) {
        products(first: $n) { items { slug rating { average }
          category { slug parent { name } }
          variants(currency: "GBP") { sku priceMinor product { slug rating { reviews } } }
          reviews(first: 2) { stars text } } }
        categories { slug children { slug products(first: 2) { slug inStock } } } }""",
}


class Measured(msgspec.Struct, frozen=True):
    """The most statements that any of the queries took, and each, whatever its breadth."""

    graphql_statements_max: int
    by_query: Mapping[str, Sequence[int]]


_count: ContextVar[list[str] | None] = ContextVar("count", default=None)


class CountingCursor(psycopg.AsyncCursor[TupleRow]):
    """A cursor that notes every statement which is really sent."""

    async def execute(self, query: Any, *given: Any, **more: Any) -> "CountingCursor":  # noqa: ANN401 - as psycopg's
        """Send a statement, and note it."""
        noted = _count.get()
        if noted is not None:
            noted.append(str(query))
        return await super().execute(query, *given, **more)


@asynccontextmanager
async def counted(settings: Settings) -> AsyncGenerator[Database]:
    """Connect with cursors that count."""
    database = connect(
        msgspec.structs.replace(settings, slow_statement_ms=0), name="bench", ring=lambda _: None
    )

    def prepare(connection: Any, _: object) -> None:  # noqa: ANN401 - SQLAlchemy's wrapper
        connection.driver_connection.cursor_factory = CountingCursor

    event.listen(database.engine.sync_engine, "connect", prepare)
    try:
        yield database
    finally:
        await database.engine.dispose()


async def statements(database: Database, query: str, breadth: int) -> list[str]:
    """Carry out a query as somebody who sees what is public; returns what was sent."""
    noted = list[str]()
    async with reading(database) as tx:
        token = _count.set(noted)
        result = await SCHEMA.execute(
            query, variable_values={"n": breadth}, context_value=Loaders(tx, public=True)
        )
        _count.reset(token)
    if result.errors:
        raise result.errors[0]
    return noted


async def measure(database_url: str) -> Measured:
    """Count what each query takes at several breadths, in a database with products."""
    async with counted(Settings(database_url=database_url)) as database:
        by_query = {
            name: [len(await statements(database, query, n)) for n in _BREADTHS]
            for name, query in QUERIES.items()
        }
    return Measured(max(max(counts) for counts in by_query.values()), by_query)


async def _run(state: Path, say: Say) -> Measured:
    async with postgres(state, say) as url:
        async with opened(url) as connection:
            await goods.write(connection, goods.products(PRODUCTS))
        return await measure(url)


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a line of JSON."""
    argparse.ArgumentParser(prog="python -m ops.bench.graphql", description=__doc__).parse_args(
        arguments
    )
    with tempfile.TemporaryDirectory(prefix="orderflow-graphql-") as state:
        try:
            measured = run_until_told(_run(Path(state), console()))
        except CannotStart as error:
            sys.stderr.write(f"{error}\n")
            return 1
    if measured is None:
        return 130
    sys.stdout.write(f"{msgspec.json.encode(measured).decode()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
