"""What the bench writes to Postgres before a measurement, and what it reads after one."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from api import credentials
from db import api_keys, invariants, users
from db.api_keys import NewKey
from db.engine import Database, connect, transaction
from db.ids import new_id
from domain.account import NewAccount
from domain.principal import Scope, Tier
from ops.bench.workload import OPENING_STOCK, SKUS, Lost, price_minor, sku
from ops.config import Settings

# As many as the load client has connections.
ACCOUNTS = 32
# So rarely that looking costs nothing beside the seconds it measures.
SETTLED_POLL_S = 0.01
# Several times what the slowest phase takes on a busy machine.
SETTLED_WITHIN_S = 120.0

_PROGRESS = """
    SELECT o.status = 'paid', n.state IS NOT DISTINCT FROM 'sent'
    FROM orders o LEFT JOIN notifications n ON n.order_id = o.id WHERE o.id = %s
"""
_ALL_TOLD = """
    SELECT count(*) FROM orders o JOIN notifications n ON n.order_id = o.id
    WHERE o.id = ANY (%s) AND o.status = 'paid' AND n.state = 'sent'
"""
_STOCK_WRONG = """
    SELECT sku, s.on_hand, r.sold FROM stock s LEFT JOIN (
        SELECT sku, sum(quantity) AS sold FROM reservations WHERE state = 'committed' GROUP BY sku
    ) AS r USING (sku)
    WHERE s.on_hand + coalesce(r.sold, 0) <> %s LIMIT 1
"""

Connection = AsyncConnection[TupleRow]


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Connection]:
    """Open a connection on which every statement is a transaction of its own."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


async def renew(url: str) -> None:
    """Make the database of the URL anew, so that no run inherits anything of another."""
    name = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
    async with opened(make_conninfo(url, dbname="postgres")) as connection:
        await connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(name))


async def seed(url: str) -> None:
    """Write the catalogue and its stock."""
    async with opened(url) as connection, connection.cursor() as cursor:
        async with cursor.copy("COPY variants (sku, name, price_minor, currency) FROM STDIN") as to:
            for n in range(1, SKUS + 1):
                await to.write_row((sku(n), f"Product {n}", price_minor(n), "GBP"))
        async with cursor.copy("COPY stock (sku, on_hand) FROM STDIN") as to:
            for n in range(1, SKUS + 1):
                await to.write_row((sku(n), OPENING_STOCK))
        await cursor.execute("ANALYZE")


async def enrol(url: str) -> list[str]:
    """Write accounts with an API key each, and give the keys."""
    keys = [credentials.mint() for _ in range(ACCOUNTS)]
    async with _database(url) as database, transaction(database) as tx:
        for number, key in enumerate(keys):
            owner = await users.insert(tx, NewAccount(f"shop{number}@example.com", None, None))
            if owner is None:
                raise Lost("The database has accounts already.")
            await api_keys.insert_one(tx, _new_key(owner, key))
    return keys


def _new_key(owner: UUID, key: str) -> NewKey:
    return NewKey(
        id=new_id(),
        user_id=owner,
        name="bench",
        prefix=credentials.shown(key),
        hash=credentials.digest(key),
        scopes=[Scope.ORDERS_WRITE],
        tier=Tier.AUTHENTICATED,
    )


async def tidy(urls: Iterable[str]) -> None:
    """Vacuum the databases and write all pages, so that no phase pays for what another left."""
    for url in urls:
        async with opened(url) as connection:
            await connection.execute("VACUUM (ANALYZE)")
            await connection.execute("CHECKPOINT")


async def settled(connection: Connection) -> float:
    """Wait until no order has work left; returns the monotonic clock's reading.

    Raises Lost if that takes too long.
    """
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while not await _is_settled(connection):
        if time.monotonic() > deadline:
            raise Lost(f"Orders are not settled after {SETTLED_WITHIN_S:.0f} s.")
        await asyncio.sleep(SETTLED_POLL_S)
    return time.monotonic()


async def _is_settled(connection: Connection) -> bool:
    # Two queries, each of which its partial index answers with the first row it finds.
    found = await connection.execute(
        """
        SELECT NOT EXISTS (SELECT FROM tasks WHERE state = 'ready' AND order_id IS NOT NULL)
           AND NOT EXISTS (SELECT FROM tasks WHERE state = 'running' AND order_id IS NOT NULL)
        """
    )
    return (await found.fetchone()) == (True,)


async def progress(connection: Connection, order_id: str) -> tuple[bool, bool]:
    """Tell whether the order is paid, and whether its customer was told."""
    found = await (await connection.execute(_PROGRESS, [order_id])).fetchone()
    return (False, False) if found is None else (found[0], found[1])


async def check(url: str, order_ids: Sequence[str]) -> None:
    """Raise Lost unless every order is paid, its customer told, and all books agree."""
    ids = [UUID(order_id) for order_id in order_ids]
    if len(set(ids)) != len(ids):
        raise Lost("An order id was given twice.")
    async with opened(url) as connection:
        told = await (await connection.execute(_ALL_TOLD, [ids])).fetchone()
        stock = await (await connection.execute(_STOCK_WRONG, [OPENING_STOCK])).fetchone()
    if told != (len(ids),):
        raise Lost(f"Of {len(ids)} orders {told} were paid and told of.")
    if stock:
        raise Lost(f"Stock and sales do not add up to what there was: {stock}.")
    await _check_invariants(url, orders_from=min(ids))


async def _check_invariants(url: str, orders_from: UUID) -> None:
    async with _database(url) as database, transaction(database) as tx:
        broken = await invariants.check(tx, orders_from=orders_from)
    if broken:
        raise Lost(f"{broken[0].invariant}, but {broken[0].subject}: {broken[0].detail}.")


@asynccontextmanager
async def _database(url: str) -> AsyncGenerator[Database]:
    database = connect(Settings(database_url=url), name="orderflow bench", ring=lambda _: None)
    try:
        yield database
    finally:
        await database.engine.dispose()
