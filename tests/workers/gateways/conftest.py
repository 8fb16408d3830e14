"""The outside, as a gateway adapter sees it."""

from collections.abc import AsyncGenerator

import pytest

from tests.outside import Sandbox, outside, start
from tests.workers.gateways.account import adapter
from workers.gateways.stripe import StripeGateway

__all__ = ["gateway", "outside", "start"]


@pytest.fixture
async def gateway(outside: Sandbox) -> AsyncGenerator[StripeGateway]:
    async with adapter(outside.gateway_url) as made:
        yield made
