"""Orders that a bank has answered for, and asking for their money over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from db.engine import Database
from db.ids import new_id
from domain import claim
from domain.payment import Unknown
from ops.config import Settings
from tests.api.routes import STAFF
from tests.bank import Bank
from tests.builders import put_products
from tests.stages import drain_inventory, drain_payments
from tests.web import bearer, post_order

TOTAL = 1000

Pay = Callable[..., Awaitable[str]]


@pytest.fixture
def pay(client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank) -> Pay:
    """Place an order of 1000 and let the bank answer; gives its location.

    A client without an account that places it is its guest from then on.
    """

    async def placed(by: httpx.AsyncClient = client, **changes: Any) -> str:
        await put_products(database, APPLE=100)
        answer = await post_order(by, ("APPLE", 2), **changes)
        location = answer.headers["location"]
        if token := answer.headers.get(claim.HEADER):
            by.headers.update(bearer(token))
        await drain_inventory(database)
        await drain_payments(database, settings, bank)
        return location

    return placed


async def ask(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], *, key: str | None = None
) -> httpx.Response:
    headers = STAFF | {"Idempotency-Key": key or str(new_id())}
    return await client.post(path, json=body, headers=headers)


async def money(client: httpx.AsyncClient, location: str) -> tuple[int, ...]:
    """What is authorized, captured, refunded, and may be captured and refunded."""
    shown = (await client.get(f"{location}/payments")).json()
    names = ("authorized", "captured", "refunded", "capturable", "refundable")
    return tuple(shown[f"{name}_minor"] for name in names)


async def lost(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, **changes: Any
) -> str:
    """An order whose charge is unknown past the gateway's window, and so in review."""
    await put_products(database, APPLE=100)
    location = (await post_order(client, ("APPLE", 2), **changes)).headers["location"]
    bank.answers.append(Unknown("The answer was lost."))
    await drain_inventory(database)
    await drain_payments(database, settings, bank)
    return location
