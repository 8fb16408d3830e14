"""A pool that is too small: requests wait for each other, never for what they hold themselves."""

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

import httpx
import msgspec
import pytest
from litestar import Litestar

from api.application import build
from db.engine import POOL_TIMEOUT_S, Database
from ops.config import Settings
from tests.builders import put_products
from tests.web import assert_problem, post_order, served

AT_ONCE = 50


@pytest.fixture(params=[1, 2])
def app(settings: Settings, database: Database, request: pytest.FixtureRequest) -> Litestar:
    """An application with next to no connections."""
    del database
    return build(msgspec.structs.replace(settings, database_pool_max=request.param))


@pytest.fixture
async def client(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    """A client with an API key, which is looked up for each request."""
    async with served(app) as client:
        yield client


async def test_crowd_with_keys_gets_through_a_pool_of_one_or_two(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put_products(database, TEA=1000)
    placed = (await post_order(client, ("TEA", 1))).json()["id"]
    paths = ["/v1/variants/TEA", f"/v1/orders/{UUID(placed)}", "/v1/orders", "/v1/stock/TEA"]

    async with asyncio.timeout(POOL_TIMEOUT_S):
        answers = await asyncio.gather(
            *(client.get(paths[n % len(paths)]) for n in range(AT_ONCE)),
            *(post_order(client, ("TEA", 1)) for _ in range(AT_ONCE)),
        )

    assert [answer.status_code for answer in answers] == [200] * AT_ONCE + [202] * AT_ONCE


@pytest.mark.parametrize("app", [1], indirect=True)
@pytest.mark.parametrize("path", ["/v1/variants/TEA", "/v1/orders"])
async def test_who_waited_for_a_connection_in_vain_does_not_wait_again(
    client: httpx.AsyncClient, app: Litestar, path: str
) -> None:
    async with app.state.database.engine.connect(), asyncio.timeout(1.5 * POOL_TIMEOUT_S):
        answer = await client.get(path)

    assert_problem(answer, 503, "unavailable")
