"""A client of the real application that has many requests under way at once."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from litestar import Litestar

from tests.web import served


@pytest.fixture
async def client(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    async with served(app) as client:
        yield client
