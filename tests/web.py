"""Talking to the web application in the test's own event loop, many requests at once."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
from litestar import Litestar
from sqlalchemy import func, select, text

from db.engine import Database, transaction
from db.ids import new_id
from db.tables import metadata
from tests.builders import an_order_body
from tests.staff import STAFF

DEADLINE_S = 20

NOBODY: Mapping[str, str] = {}
# Written by the heartbeat of whatever runs, whatever it is asked.
RESTLESS = {"processes"}
# One question for all tables: hundreds of tests ask it before and after.
_ROWS = select(
    *(
        select(func.count()).select_from(table).scalar_subquery().label(name)
        for name, table in metadata.tables.items()
        if name not in RESTLESS
    )
)


@asynccontextmanager
async def served(
    app: Litestar, credential: Mapping[str, str] = STAFF
) -> AsyncGenerator[httpx.AsyncClient]:
    """Start an application, give a client of it with a credential, and stop it.

    Unlike Litestar's own test client, this one has many requests under way at once.
    """
    up, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        # Start and stop belong into one task, but a fixture is set up and torn down in two.
        async with app.lifespan():
            up.set()
            await stop.wait()

    living = asyncio.create_task(live())
    async with asyncio.timeout(DEADLINE_S):
        await up.wait()
    async with asking(app, credential) as client:
        yield client
    stop.set()
    await living


def asking(app: Litestar, credential: Mapping[str, str] = NOBODY) -> httpx.AsyncClient:
    """Make one more client of an application that is started."""
    transport = httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False)
    return httpx.AsyncClient(
        transport=transport, base_url="http://orderflow.test", headers=credential
    )


def bearer(token: str) -> dict[str, str]:
    """Headers with a credential."""
    return {"Authorization": f"Bearer {token}"}


async def post_order(
    client: httpx.AsyncClient,
    *items: tuple[str, int],
    key: str | None = None,
    headers: Mapping[str, str] = NOBODY,
    **changes: Any,
) -> httpx.Response:
    """Place an order, with a fresh key unless one is given."""
    given = {"Idempotency-Key": key or str(new_id()), **headers}
    return await client.post("/v1/orders", json=an_order_body(*items, **changes), headers=given)


def unlinked(order: Mapping[str, Any]) -> dict[str, Any]:
    """Give an order that was read as it was accepted: without its links."""
    return {name: value for name, value in order.items() if name != "links"}


def assert_problem(
    answer: httpx.Response, status: int, code: str, field: str | None = None
) -> None:
    """Check that an answer is a problem of this status and code, at this field if any."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    assert [error["field"] for error in problem.get("errors", [])] == ([field] if field else [])


async def rows(database: Database) -> dict[str, int]:
    """Count the rows of every table."""
    async with transaction(database) as tx:
        return dict((await tx.execute(_ROWS)).mappings().one())


async def contents(database: Database) -> dict[str, str]:
    """Sum up every table, its rows in whatever order."""
    query = "SELECT coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {} t"
    async with transaction(database) as tx:
        return {
            name: str(await tx.scalar(text(query.format(name))))
            for name in sorted(metadata.tables.keys() - RESTLESS)
        }


async def written(database: Database) -> tuple[int, ...]:
    """Count what an order writes; quicker than all `rows`."""
    async with transaction(database) as tx:
        counts = await tx.exec_driver_sql(
            "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_lines),"
            " (SELECT count(*) FROM order_events), (SELECT count(*) FROM tasks),"
            " (SELECT count(*) FROM idempotency_keys)"
        )
        return tuple(counts.one())
