"""Clients of the real application, before whose pages somebody of the staff sits."""

from collections.abc import AsyncGenerator

import httpx
import pytest
from litestar import Litestar

from tests.api.paid import pay
from tests.bank import bank
from tests.web import served

__all__ = ["bank", "pay"]


@pytest.fixture
async def client(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    async with served(app) as client:
        yield client
