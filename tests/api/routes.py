"""Every route of /v1, and a valid request to it."""

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.tokens import Tokens
from db.ids import new_id
from domain import claim, code
from domain.code import Purpose
from domain.secret import keys
from tests.builders import an_order_body
from tests.signed import SIGNING_KEY, signed
from tests.staff import SECRET_KEY, STAFF, TOKEN_KEY

ORDER = "01a1fc38-e824-799d-91fa-a3621629b8c6"
# Not what other tests order: a write that is fuzzed may be a good one with another price.
SKU = "MELON"
PRODUCT = {"name": "Apple", "price_minor": 250, "currency": "GBP"}
# The gateway's own word for one of its events.
WEBHOOK = "/v1/gateways/stripe/webhook"
EVENT = {"id": "evt_1", "type": "charge.succeeded", "data": {"object": {"id": "ch_1"}}}
VOID = f"/v1/orders/{ORDER}/void"
ME = "/v1/users/me"
MINE = "/v1/products/cups/reviews/mine"
# A password of nobody.
WORDS = "mauve tin ladder of the cook"


# Where keys open nothing.
OF_PEOPLE = ("/v1/users", "/v1/sessions", MINE)


# What stands in the paths of the document.
PARAMETERS = {
    "order_id": ORDER,
    "sku": SKU,
    "name": "stripe",
    "finding_id": 1,
    "task_id": 1,
    "queue": "shipping",
    "session_id": ORDER,
    "user_id": ORDER,
    "key_id": ORDER,
    "bulk_id": ORDER,
    "import_id": ORDER,
    "review_id": ORDER,
    "process_id": ORDER,
    "cart_id": ORDER,
    "incoming_id": ORDER,
    "code": "TEN",
    "region": "GB",
    "zone": "GB-GBP",
    "slug": "cups",
    "price_list": "sale",
    "job": "prune",
}


class Person(NamedTuple):
    """An admin who is logged in, and their session; both have the same id."""

    id: str


PERSON = Person("01a1fc38-e824-799d-91fa-000000000001")
LEAVER = Person("01a1fc38-e824-799d-91fa-000000000002")
_tokens = Tokens(keys(TOKEN_KEY), lifetime_s=3600)


def headers_of(person: Person) -> dict[str, str]:
    """Headers of a request by somebody."""
    own = UUID(person.id)
    token = _tokens.issue(own, own, version=1, now_s=int(time.time()))
    return {"Authorization": f"Bearer {token}"}


def code_of(purpose: Purpose) -> str:
    """Write a code as a mail would carry it, which is kept nowhere."""
    return code.write(UUID(ORDER), purpose, keys(SECRET_KEY)[0])


async def let_in(tx: AsyncConnection) -> None:
    """Make those people, logged in."""
    for person in (PERSON, LEAVER):
        for query in (
            "INSERT INTO users (id, role, email, email_folded) VALUES (:id, 'admin', :at, :at)",
            "INSERT INTO sessions (id, user_id, expires_at) VALUES (:id, :id, now() + '1 d')",
        ):
            await tx.execute(text(query), {"id": person.id, "at": f"{person.id}@x"})


class Write(NamedTuple):
    """A route that takes a body: a valid one, and a text and a number that stand in it once."""

    method: str
    path: str
    body: dict[str, Any]
    text: str
    number: str


_OF_THE_CUSTOMER = ("email", "payment_method", "ship_to")
CHECKOUT = {name: an_order_body(("APPLE", 5))[name] for name in _OF_THE_CUSTOMER} | {
    "expected_total_minor": 777
}
WRITES = {
    "order": Write("POST", "/v1/orders", an_order_body(("APPLE", 5)), "Ann Example", "5"),
    "product": Write("PUT", f"/v1/variants/{SKU}", PRODUCT, "Apple", "250"),
    "category": Write("PUT", "/v1/categories/cups", {"name": "Cups", "rank": 5}, "Cups", "5"),
    "cart": Write("POST", "/v1/carts", {"currency": "GBP"}, "GBP", ""),
    "cart line": Write("POST", f"/v1/carts/{ORDER}/lines", {"sku": SKU, "quantity": 5}, SKU, "5"),
    "cart quantity": Write("PUT", f"/v1/carts/{ORDER}/lines/{SKU}", {"quantity": 5}, "", "5"),
    "products": Write("PUT", "/v1/products/cups", {"name": "Red cups"}, "Red cups", ""),
    "price list": Write(
        "PUT", "/v1/price-lists/sale", {"currency": "GBP", "priority": 5}, "GBP", "5"
    ),
    "prices": Write(
        "PATCH",
        "/v1/price-lists/sale/entries",
        {"put": [{"sku": "NONE", "price_minor": 5}]},
        "NONE",
        "5",
    ),
    "price": Write("PUT", f"/v1/price-lists/sale/entries/{SKU}", {"price_minor": 5}, "", "5"),
    "checkout": Write("POST", f"/v1/carts/{ORDER}/checkout", CHECKOUT, "Ann Example", "777"),
    "discount": Write(
        "PUT", "/v1/discounts/cups", {"kind": "percentage", "value": 500}, "percentage", "500"
    ),
    "tax rate": Write("PUT", "/v1/tax-rates/GB", {"standard_ppm": 5}, "", "5"),
    "shipping rate": Write("PUT", "/v1/shipping-rates/GB-GBP", {"price_minor": 5}, "", "5"),
    "stock": Write("PUT", f"/v1/stock/{SKU}", {"on_hand": 5}, "", "5"),
    "adjustment": Write(
        "POST", f"/v1/stock/{SKU}/adjustments", {"delta": 5, "reason": "Found some"}, "Found", "5"
    ),
    "breaker": Write(
        "PUT", "/v1/gateways/stripe/breaker", {"forced": None, "note": "It is back"}, "back", ""
    ),
    "review": Write(
        "PUT", MINE, {"stars": 5, "title": "Sturdy", "text": "It holds."}, "It holds.", "5"
    ),
    "moderation": Write(
        "PUT",
        f"/v1/reviews/{ORDER}/moderation",
        {"state": "rejected", "reason": "No words like these."},
        "No words",
        "",
    ),
    "count": Write(
        "POST", f"/v1/stock/{SKU}/counts", {"counted": 5, "reason": "Inventory"}, "Inventory", "5"
    ),
    "receipt": Write(
        "POST", f"/v1/stock/{SKU}/receipts", {"quantity": 5, "reason": "By lorry"}, "lorry", "5"
    ),
    "transfer": Write(
        "POST",
        f"/v1/stock/{SKU}/transfers",
        {"quantity": 5, "source": "north", "reason": "Rebalanced"},
        "Rebalanced",
        "5",
    ),
    "to come": Write(
        "POST", f"/v1/stock/{SKU}/incoming", {"quantity": 5, "note": "By ship"}, "By ship", "5"
    ),
    "backorders": Write("PUT", f"/v1/stock/{SKU}/backorders", {"max": 5}, "", "5"),
    "location": Write(
        "PUT", "/v1/locations/cups", {"name": "North", "country": "GB", "priority": 5}, "North", "5"
    ),
    "threshold": Write("PUT", f"/v1/stock/{SKU}/threshold", {"low_at": 5}, "", "5"),
    "finding": Write("POST", "/v1/findings/1/close", {"note": "Paid by hand"}, "Paid by hand", ""),
}
_CLAIM = claim.write(UUID(ORDER), keys(SECRET_KEY)[0])
WRITES |= {
    "claim": Write("POST", f"/v1/orders/{ORDER}/claim", {"claim_token": _CLAIM}, _CLAIM, ""),
    "API key": Write(
        "POST", "/v1/api-keys", {"name": "A machine", "scopes": ["orders:read"]}, "A machine", ""
    ),
    "rotation": Write("POST", f"/v1/api-keys/{ORDER}/rotate", {"overlap_s": 5}, "", "5"),
    "write-off": Write(
        "POST",
        f"/v1/orders/{ORDER}/write-off",
        {"amount_minor": 5, "means": "dispute", "note": "Seen at the bank"},
        "Seen at the bank",
        "5",
    ),
    "resend": Write(
        "POST", f"/v1/orders/{ORDER}/resend", {"notice": "order_confirmed"}, "order_confirmed", ""
    ),
    "discard": Write("POST", "/v1/tasks/1/discard", {"note": "Done by hand"}, "Done by hand", ""),
    "bulk": Write(
        "POST",
        "/v1/tasks/bulks",
        {
            "action": "discard",
            "match": {"state": "dead", "kind": "prune", "error": "Out of luck"},
            "dry_run": True,
            "per_s": 5,
        },
        "Out of luck",
        "5",
    ),
    "queue": Write("PUT", "/v1/queues/shipping", {"paused": False, "running_max": 5}, "", "5"),
    "schedule": Write("PUT", "/v1/schedules/prune", {"paused": False}, "", ""),
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
WRITES |= {
    "registration": Write(
        "POST",
        "/v1/registrations",
        {"email": "eve@example.com", "password": WORDS, "name": "Eve Example"},
        "Eve Example",
        "",
    ),
    "registration confirmed": Write(
        "POST",
        "/v1/registrations/confirm",
        {"code": code_of(Purpose.REGISTER), "password": WORDS},
        WORDS,
        "",
    ),
    "reset": Write("POST", "/v1/password-resets", {"email": "eve@example.com"}, "eve@", ""),
    "reset confirmed": Write(
        "POST",
        "/v1/password-resets/confirm",
        {"code": code_of(Purpose.RESET), "password": WORDS},
        WORDS,
        "",
    ),
    "login": Write(
        "POST",
        "/v1/sessions",
        {"email": "eve@example.com", "password": WORDS, "otp": "123456"},
        WORDS,
        "",
    ),
    "refresh": Write("POST", "/v1/sessions/refresh", {"refresh_token": "A" * 43}, "AAA", ""),
    "address confirmed": Write(
        "POST", "/v1/users/email/confirm", {"code": code_of(Purpose.CHANGE_EMAIL_NEW)}, "code", ""
    ),
    "name": Write("PATCH", ME, {"name": "Eve Example"}, "Eve Example", ""),
    "password": Write(
        "PUT", f"{ME}/password", {"password": WORDS, "new_password": WORDS}, WORDS, ""
    ),
    "address": Write(
        "POST", f"{ME}/email", {"email": "eve@example.com", "password": WORDS}, WORDS, ""
    ),
    "farewell": Write("POST", f"{ME}/delete", {"password": WORDS}, WORDS, ""),
    "factor": Write("POST", f"{ME}/totp", {"password": WORDS}, WORDS, ""),
    "factor confirmed": Write("POST", f"{ME}/totp/confirm", {"otp": "123456"}, "123", ""),
    "factor off": Write("POST", f"{ME}/totp/disable", {"password": WORDS}, WORDS, ""),
    "recovery codes": Write("POST", f"{ME}/totp/recovery-codes", {"password": WORDS}, WORDS, ""),
    "standing": Write("PATCH", f"/v1/users/{ORDER}", {"role": "ops"}, "ops", ""),
}
# They end the session of who asks.
ENDING = [("DELETE", "/v1/sessions"), ("DELETE", "/v1/sessions/current")]
ROUTES = [
    *((write.method, write.path) for write in WRITES.values()),
    ("GET", "/v1/orders"),
    ("GET", f"/v1/orders/{ORDER}"),
    ("GET", f"/v1/orders/{ORDER}/events"),
    ("GET", f"/v1/orders/{ORDER}/explain"),
    ("GET", f"/v1/orders/{ORDER}/payments"),
    ("POST", f"/v1/orders/{ORDER}/cancel"),
    ("POST", f"/v1/orders/{ORDER}/lookup"),
    ("POST", VOID),
    ("GET", f"/v1/ledger?order={ORDER}"),
    ("POST", WEBHOOK),
    ("GET", "/v1/discounts"),
    ("GET", "/v1/discounts/cups"),
    ("DELETE", "/v1/discounts/cups"),
    ("GET", "/v1/tax-rates"),
    ("GET", "/v1/tax-rates/GB"),
    ("DELETE", "/v1/tax-rates/GB"),
    ("GET", "/v1/shipping-rates"),
    ("GET", "/v1/shipping-rates/GB-GBP"),
    ("DELETE", "/v1/shipping-rates/GB-GBP"),
    ("PUT", f"/v1/carts/{ORDER}/codes/TEN"),
    ("DELETE", f"/v1/carts/{ORDER}/codes/TEN"),
    ("GET", "/v1/carts/mine"),
    ("GET", f"/v1/carts/{ORDER}"),
    ("POST", f"/v1/carts/{ORDER}/merge"),
    ("DELETE", f"/v1/carts/{ORDER}/lines"),
    ("DELETE", f"/v1/carts/{ORDER}/lines/{SKU}"),
    ("GET", f"/v1/variants/{SKU}"),
    ("DELETE", f"/v1/variants/{SKU}"),
    ("GET", "/v1/exports/products"),
    ("GET", "/v1/price-lists"),
    ("GET", "/v1/price-lists/sale"),
    ("DELETE", "/v1/price-lists/sale"),
    ("GET", "/v1/price-lists/sale/entries"),
    ("GET", f"/v1/price-lists/sale/entries/{SKU}"),
    ("DELETE", f"/v1/price-lists/sale/entries/{SKU}"),
    ("GET", "/v1/products"),
    ("GET", "/v1/products/cups"),
    ("DELETE", "/v1/products/cups"),
    ("GET", "/v1/categories"),
    ("GET", "/v1/categories/cups"),
    ("GET", "/v1/search"),
    ("DELETE", "/v1/categories/cups"),
    ("GET", f"/v1/stock/{SKU}"),
    ("GET", "/v1/products/cups/reviews"),
    ("GET", MINE),
    ("DELETE", MINE),
    ("POST", "/v1/imports"),
    ("GET", "/v1/imports"),
    ("GET", f"/v1/imports/{ORDER}"),
    ("GET", f"/v1/imports/{ORDER}/errors"),
    ("POST", f"/v1/imports/{ORDER}/cancel"),
    ("GET", "/v1/reviews"),
    ("GET", f"/v1/reviews/{ORDER}"),
    ("GET", f"/v1/stock/{SKU}/movements"),
    ("GET", f"/v1/stock/{SKU}/incoming"),
    ("GET", "/v1/stock-events"),
    ("POST", f"/v1/incoming/{ORDER}/cancel"),
    ("GET", "/v1/locations"),
    ("GET", "/v1/locations/cups"),
    ("DELETE", "/v1/locations/cups"),
    ("GET", "/v1/findings"),
    ("GET", "/v1/tasks"),
    ("POST", "/v1/tasks/1/replay"),
    ("GET", "/v1/tasks/causes"),
    ("GET", "/v1/tasks/bulks"),
    ("GET", f"/v1/tasks/bulks/{ORDER}"),
    ("POST", f"/v1/tasks/bulks/{ORDER}/cancel"),
    ("POST", f"/v1/tasks/bulks/{ORDER}/undo"),
    ("GET", "/v1/queues"),
    ("GET", "/v1/queues/throughput"),
    ("POST", "/v1/queues/shipping/drain"),
    ("GET", "/v1/processes"),
    ("POST", f"/v1/processes/{ORDER}/stop"),
    ("GET", "/v1/schedules"),
    ("POST", "/v1/schedules/prune/run"),
    ("GET", "/v1/audit"),
    ("GET", "/v1/sessions"),
    ("DELETE", f"/v1/sessions/{ORDER}"),
    *ENDING,
    ("GET", ME),
    ("GET", f"{ME}/export"),
    ("GET", "/v1/users"),
    ("GET", f"/v1/users/{ORDER}"),
    ("GET", "/v1/api-keys"),
    ("DELETE", f"/v1/api-keys/{ORDER}"),
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
    if path.startswith(OF_PEOPLE):
        given |= headers_of(LEAVER if (method, path.partition("?")[0]) in ENDING else PERSON)
    if path.startswith(WEBHOOK):
        given |= signed(content, SIGNING_KEY)
    return await client.request(method, path, content=content, headers={**given, **headers})
