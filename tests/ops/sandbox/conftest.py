"""The sandbox under test."""

from collections.abc import AsyncGenerator

import aiohttp
import pytest

from tests.ops.sandbox.caller import Caller
from tests.outside import Sandbox, outside, start

__all__ = ["outside", "start"]


@pytest.fixture
async def caller(outside: Sandbox) -> AsyncGenerator[Caller]:
    """An HTTP client of the shared sandbox's gateway."""
    async with aiohttp.ClientSession() as session:
        yield Caller(session, outside.gateway_url)
