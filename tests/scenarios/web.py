"""Talking to a real web process over its socket."""

import httpx

from tests.scenarios.processes import Surroundings
from tests.waiting import eventually

CONNECTIONS = 32


def clients(surroundings: Surroundings) -> httpx.AsyncClient:
    """A client of the web process with as many connections as a crowd of customers has."""
    transport = httpx.AsyncHTTPTransport(
        uds=str(surroundings.web), limits=httpx.Limits(max_connections=CONNECTIONS)
    )
    return httpx.AsyncClient(transport=transport, base_url="http://orderflow.test", timeout=30)


async def until_up(client: httpx.AsyncClient) -> None:
    """Return when the web process answers."""

    async def answers() -> bool:
        try:
            return (await client.get("/health/live")).is_success
        except httpx.TransportError:
            return False

    await eventually(answers)
