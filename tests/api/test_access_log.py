"""The access log: one line per request, with the ids by which it is found."""

import io
import json
import logging

import httpx
import pytest

from ops.telemetry.logs import JsonLines
from tests.builders import an_order_body

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_access_log_names_the_order_that_a_request_made_or_asked_for(
    shop: httpx.AsyncClient,
) -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonLines("web"))
    access = logging.getLogger("access")
    access.addHandler(handler)
    before = access.level
    access.setLevel(logging.INFO)
    try:
        key = {"Idempotency-Key": "logged"}
        placed = await shop.post("/v1/orders", json=an_order_body(("APPLE", 1)), headers=key)
        order_id = placed.headers["location"].rpartition("/")[2]
        await shop.get(f"/v1/orders/{order_id}")
    finally:
        access.removeHandler(handler)
        access.setLevel(before)

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["order_id"] for line in told] == [order_id, order_id]
    assert all(line["trace_id"] and line["request_id"] for line in told)
