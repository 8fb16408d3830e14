"""Every route of /v1, and a valid request to it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from db.ids import new_id
from tests.builders import an_order_body
from tests.conftest import ADMIN_API_KEY
from tests.signed import SIGNING_KEY, signed

ORDER = "01a1fc38-e824-799d-91fa-a3621629b8c6"
# Not what other tests order: a write that is fuzzed may be a good one with another price.
SKU = "MELON"
PRODUCT = {"name": "Apple", "price_minor": 250, "currency": "GBP"}
# The gateway's own word for one of its events.
WEBHOOK = "/v1/gateways/stripe/webhook"
EVENT = {"id": "evt_1", "type": "charge.succeeded", "data": {"object": {"id": "ch_1"}}}
VOID = f"/v1/orders/{ORDER}/void"
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
    "finding": Write("POST", "/v1/findings/1/close", {"note": "Paid by hand"}, "Paid by hand", ""),
}
WRITES |= {
    "capture": Write("POST", f"/v1/orders/{ORDER}/capture", {"amount_minor": 5}, "", "5"),
    "refund": Write(
        "POST",
        f"/v1/orders/{ORDER}/refunds",
        {"amount_minor": 5, "currency": "GBP", "reason": "duplicate"},
        "duplicate",
        "5",
    ),
    "payment method": Write(
        "POST",
        f"/v1/orders/{ORDER}/payment-method",
        {"payment_method": "pm_card_visa"},
        "pm_card_visa",
        "",
    ),
    "resolution": Write(
        "POST",
        f"/v1/orders/{ORDER}/resolve",
        {"outcome": "did_not_happen", "note": "Looked it up"},
        "Looked it up",
        "",
    ),
}
ROUTES = [
    *((write.method, write.path) for write in WRITES.values()),
    ("GET", "/v1/orders"),
    ("GET", f"/v1/orders/{ORDER}"),
    ("GET", f"/v1/orders/{ORDER}/events"),
    ("GET", f"/v1/orders/{ORDER}/explain"),
    ("GET", f"/v1/orders/{ORDER}/payments"),
    ("POST", f"/v1/orders/{ORDER}/cancel"),
    ("POST", VOID),
    ("GET", f"/v1/ledger?order={ORDER}"),
    ("POST", WEBHOOK),
    ("GET", f"/v1/products/{SKU}"),
    ("GET", f"/v1/stock/{SKU}"),
    ("GET", "/v1/findings"),
    ("GET", "/v1/audit"),
]


NO_HEADERS: Mapping[str, str] = {}


async def send(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    content: bytes | None = None,
    headers: Mapping[str, str] = NO_HEADERS,
) -> httpx.Response:
    """Ask as staff, with a fresh key and, unless another body is given, the valid one.

    What goes to a gateway's webhook is signed.
    """
    bodies: dict[tuple[str, str], Any] = {write[:2]: write.body for write in WRITES.values()}
    bodies |= {("POST", VOID): {}, ("POST", WEBHOOK): EVENT}
    if content is None:
        content = json.dumps(bodies[method, path]).encode() if (method, path) in bodies else b""
    given = {"Content-Type": "application/json", "Idempotency-Key": str(new_id())} | STAFF
    if path.startswith(WEBHOOK):
        given |= signed(content, SIGNING_KEY)
    return await client.request(method, path, content=content, headers={**given, **headers})
