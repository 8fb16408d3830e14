"""Clients of the real application that have many requests under way at once."""

from collections.abc import AsyncGenerator

import httpx
import pytest
import pytest_asyncio
from litestar import Litestar

from api.application import build
from db.engine import Database, connect, transaction
from ops.config import Settings
from tests.api.paid import pay
from tests.api.routes import let_in
from tests.bank import bank
from tests.builders import put_product
from tests.conftest import UNLIMITED, empty
from tests.signed import SIGNING_KEY
from tests.staff import SECRET_KEY, TOKEN_KEY, hire
from tests.web import asking, served

__all__ = ["bank", "pay"]


@pytest.fixture
async def client(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    async with served(app) as client:
        yield client


@pytest.fixture
async def stranger(app: Litestar, client: httpx.AsyncClient) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the same application that has no credential."""
    del client
    async with asking(app) as stranger:
        yield stranger


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop_database(database_url: str) -> AsyncGenerator[Database]:
    """The database of `shop`."""
    made = connect(Settings(database_url=database_url), name="orderflow tests", ring=lambda _: None)
    async with transaction(made) as tx:
        await put_product(tx, "APPLE", price_minor=250)
        await put_product(tx, "PENNY", price_minor=1)
        await let_in(tx)
    await hire(made)
    yield made
    await empty(made)
    await made.engine.dispose()


@pytest.fixture(scope="module")
def shop_app(database_url: str, redis_url: str) -> Litestar:
    """The application of `shop`."""
    settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_keys=SECRET_KEY,
        token_keys=TOKEN_KEY,
        stripe_webhook_secrets=SIGNING_KEY,
        **UNLIMITED,
    )
    return build(settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(shop_app: Litestar, shop_database: Database) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of one application for a whole module, with a few products for sale.

    For long tables of small questions, to which an application each would be all the time.
    """
    del shop_database
    async with served(shop_app) as client:
        yield client
