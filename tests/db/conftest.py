"""A second way into the database, for what the code under test must not see coming."""

from collections.abc import AsyncGenerator
from typing import Any

import psycopg
import pytest

Admin = psycopg.AsyncConnection[Any]


@pytest.fixture
async def admin(database_url: str) -> AsyncGenerator[Admin]:
    """A connection of its own, outside the pool; every statement commits."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as made:
        yield made
