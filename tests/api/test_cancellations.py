"""What a cancellation sets off, and what it takes."""

import httpx
import pytest

from db.engine import Database
from ops.config import Settings
from tests.api.paid import lost
from tests.bank import Bank
from tests.builders import put_products
from tests.stages import drain_payments
from tests.web import assert_problem, post_order


async def test_a_cancellation_has_an_open_charge_asked_after_at_once(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    location = await lost(client, database, settings, bank)

    await client.post(f"{location}/cancel")
    await drain_payments(database, settings, bank)

    assert bank.verbs() == ["charge", "find"]


@pytest.mark.parametrize("body", [b'{"reason": "x"}', b"[]", b"x", b"{"])
async def test_a_cancellation_takes_no_body(
    client: httpx.AsyncClient, database: Database, body: bytes
) -> None:
    await put_products(database, APPLE=100)
    location = (await post_order(client, ("APPLE", 2))).headers["location"]

    refused = await client.post(f"{location}/cancel", content=body)
    taken = await client.post(f"{location}/cancel", content=b"{}")

    assert_problem(refused, 400, "invalid_request")
    assert (taken.status_code, taken.json()["status"]) == (200, "cancelled")
