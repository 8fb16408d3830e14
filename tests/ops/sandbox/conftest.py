"""The sandbox under test."""

from collections.abc import AsyncGenerator

import aiohttp
import pytest
import stripe
from stripe import AIOHTTPClient

from tests.ops.sandbox.caller import Caller
from tests.ops.sandbox.merchant import Merchant, merchant_of
from tests.outside import Sandbox, outside, start

__all__ = ["outside", "start"]


@pytest.fixture
async def caller(outside: Sandbox) -> AsyncGenerator[Caller]:
    """An HTTP client of the shared sandbox's gateway."""
    async with aiohttp.ClientSession() as session:
        yield Caller(session, outside.gateway_url)


@pytest.fixture
async def http() -> AsyncGenerator[stripe.HTTPClient]:
    """The SDK's connections, given back afterwards."""
    async with aiohttp.ClientSession() as session:
        timeout = aiohttp.ClientTimeout(total=10)
        yield AIOHTTPClient(timeout=timeout, session=session)


@pytest.fixture
async def merchant(outside: Sandbox, http: stripe.HTTPClient) -> Merchant:
    """The SDK as client of the shared sandbox's gateway."""
    return merchant_of(outside.gateway_url, http)
