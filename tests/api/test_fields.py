"""What single inputs must look like, and what is said of those that do not."""

from typing import Any

import httpx
import pytest

from db.engine import Database
from tests.builders import an_order_body
from tests.web import assert_problem, post_order, written

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHIP_TO: dict[str, Any] = an_order_body()["ship_to"]


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        (
            {"email": "ann"},
            (
                "email: Expected an e-mail address, up to 64 characters before the @, "
                "e.g. ann@example.com."
            ),
        ),
        (
            {"currency": "QQQ"},
            "currency: Expected a currency code of ISO 4217 in capitals, e.g. GBP.",
        ),
        (
            {"payment_method": "4242424242424242"},
            (
                "payment_method: It looks like a card number: send a token of the gateway, "
                "e.g. pm_card_visa."
            ),
        ),
        (
            {"lines": [{"sku": "no sku", "quantity": 1}]},
            (
                "lines[0].sku: Expected a SKU of ASCII letters, digits, dots, dashes and "
                "underscores, e.g. APPLE-1."
            ),
        ),
        (
            {"ship_to": SHIP_TO | {"country": "QQ"}},
            (
                "ship_to.country: Expected a country code of ISO 3166-1 in capitals, "
                "e.g. GB (ZZ if unknown)."
            ),
        ),
        (
            {"ship_to": SHIP_TO | {"line2": "a\nb"}},
            (
                "ship_to.line2: Expected text on one line, without line breaks and other control "
                "characters."
            ),
        ),
    ],
    ids=str,
)
async def test_a_refusal_is_a_sentence_with_an_example_and_without_a_pattern(
    shop: httpx.AsyncClient, changes: dict[str, Any], detail: str
) -> None:
    answer = await post_order(shop, ("APPLE", 1), **changes)

    assert answer.json()["detail"] == detail


async def test_every_form_that_is_asked_for_is_described(shop: httpx.AsyncClient) -> None:
    document = (await shop.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    goods = ("VariantContent", "ProductContent", "PutStock")
    bodies = ("PlaceOrder", "OrderItem", "Destination", *goods)
    fields = {
        f"{body}.{name}": [said, *said.get("oneOf", []), *said.get("anyOf", [])]
        for body in bodies
        for name, said in schemas[body]["properties"].items()
    }

    formed = {
        name: [said for said in forms if "pattern" in said or "enum" in said]
        for name, forms in fields.items()
    }
    assert {"PlaceOrder.email", "Destination.line2", "VariantContent.name"} <= {
        name for name, forms in formed.items() if forms
    }
    assert [n for n, forms in formed.items() if not all("description" in f for f in forms)] == []


@pytest.mark.parametrize(
    "email",
    [
        "a@b.co",
        "ann+orders@mail.example.com",
        "o'brien_{x}@example.com",
        "ANN@EXAMPLE.COM",
        "a@xn--exmple-cua.com",
        f"a@{'b' * 63}.{'c' * 63}.com",
        f"{'a' * 64}@example.com",
    ],
)
async def test_an_email_address_is_taken(shop: httpx.AsyncClient, email: str) -> None:
    answer = await post_order(shop, ("APPLE", 1), email=email)

    assert answer.status_code == 202
    assert (await shop.get(answer.headers["location"])).json()["email"] == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@@example.com",
        "a@b@example.com",
        "ann@exam ple.com",
        "ann@example..com",
        "ann@-example.com",
        "ann@example.com\n",
        "ann@example.com\r\nBcc: all@example.com",
        "ann\r\n@example.com",
        "ann@example.com, bob@example.com",
        "Ann <ann@example.com>",
        '"ann bell"@example.com',
        "ann@[127.0.0.1]",
        "\u0430nn@example.com",
        "ann@exämple.com",
        "ann@example。com",
        "İ@example.com",
        "ann@example.com\u0000",
        "ann@example.com\u202e",
        f"ann@{'b' * 64}.com",
        f"{'a' * 65}@example.com",
        f"a@{'b.' * 126}com",
    ],
    ids=ascii,
)
async def test_what_is_not_one_plain_email_address_is_refused(
    shop: httpx.AsyncClient, shop_database: Database, email: str
) -> None:
    before = await written(shop_database)

    answer = await post_order(shop, ("APPLE", 1), email=email)

    assert_problem(answer, 400, "invalid_request", "email")
    assert await written(shop_database) == before
