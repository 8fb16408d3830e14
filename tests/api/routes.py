"""Every route of /v1, and a valid request to it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from db.ids import new_id
from tests.builders import an_order_body
from tests.conftest import ADMIN_API_KEY

ORDER = "01a1fc38-e824-799d-91fa-a3621629b8c6"
# Not what other tests order: a write that is fuzzed may be a good one with another price.
SKU = "MELON"
PRODUCT = {"name": "Apple", "price_minor": 250, "currency": "GBP"}
STAFF = {"Authorization": f"Bearer {ADMIN_API_KEY}"}


class Write(NamedTuple):
    """A route that takes a body: a valid one, and a text and a number that stand in it once."""

    method: str
    path: str
    body: dict[str, Any]
    text: str
    number: str


WRITES = {
    "order": Write("POST", "/v1/orders", an_order_body(("APPLE", 5)), "Ann Example", "5"),
    "product": Write("PUT", f"/v1/products/{SKU}", PRODUCT, "Apple", "250"),
    "stock": Write("PUT", f"/v1/stock/{SKU}", {"on_hand": 5}, "", "5"),
}
ROUTES = [
    *((write.method, write.path) for write in WRITES.values()),
    ("GET", "/v1/orders"),
    ("GET", f"/v1/orders/{ORDER}"),
    ("GET", f"/v1/orders/{ORDER}/events"),
    ("POST", f"/v1/orders/{ORDER}/cancel"),
    ("GET", f"/v1/products/{SKU}"),
    ("GET", f"/v1/stock/{SKU}"),
]


NO_HEADERS: Mapping[str, str] = {}


async def send(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    content: bytes | None = None,
    headers: Mapping[str, str] = NO_HEADERS,
) -> httpx.Response:
    """Ask as staff, with a fresh key and, unless another body is given, the valid one."""
    if content is None:
        valid = [write.body for write in WRITES.values() if write[:2] == (method, path)]
        content = json.dumps(valid[0]).encode() if valid else b""
    given = {"Content-Type": "application/json", "Idempotency-Key": str(new_id())} | STAFF
    return await client.request(method, path, content=content, headers={**given, **headers})
