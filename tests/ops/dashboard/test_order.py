import re
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from db.engine import Database, transaction
from domain.explanation import Code, Explanation, Owner
from domain.principal import Role
from ops.bench.outside import InstantMailer
from ops.config import Settings
from ops.dashboard.order import Remedy, remedy
from tests.api.paid import Pay, ask, lost
from tests.api.people import a_person
from tests.bank import Bank
from tests.builders import put_products
from tests.people import rows_of
from tests.stages import drain_inventory, drain_notifications, settle_payments
from tests.web import post_order


def id_of(location: str) -> str:
    return location.rpartition("/")[2]


def past_of(page: str) -> str:
    return page.split('id="past">')[1].split("</dl>", maxsplit=1)[0]


async def test_page_of_an_order_says_why_it_is_where_it_is_and_weaves_its_story(
    client: httpx.AsyncClient, pay: Pay, database: Database, settings: Settings
) -> None:
    location = await pay()
    await drain_notifications(database, settings, InstantMailer())
    await ask(client, f"{location}/resend", {"notice": "order_confirmed"})

    page = (await client.get(f"/ops/orders/{id_of(location)}")).text

    told = [page.index(word) for word in ("order placed", "stock reserved", "order paid")]
    assert told == sorted(told)
    for expected in (
        '<p class="explain">The',
        "admin admin@orderflow.test",
        "the gateway&#39;s answer",
        "charge at bank",
        "order confirmed written",
        "order.resend",
        "admin@orderflow.test",
        f'data-api="POST /v1/orders/{id_of(location)}/refunds"',
        f'data-api="POST /v1/orders/{id_of(location)}/cancel"',
    ):
        assert expected in page, expected
    assert 'data-api="POST /v1/orders/{id_of(location)}/resolve"' not in page


async def test_order_is_shown_as_of_any_of_its_events(
    client: httpx.AsyncClient, pay: Pay, database: Database, settings: Settings, bank: Bank
) -> None:
    location = await pay()
    await ask(client, f"{location}/refunds", {"reason": "duplicate", "amount_minor": 300})
    await settle_payments(database, settings, bank)

    pages = [(await client.get(f"/ops/orders/{id_of(location)}?at={n}")).text for n in range(1, 6)]

    facts = [" ".join(re.sub(r"<[^>]+>", " ", past_of(page)).split()) for page in pages]
    assert facts[0].startswith("Status placed Stock nothing Total 10.00 GBP Authorized 0.00")
    assert "Stock held" in facts[1]
    assert "Captured 10.00 GBP Refunded 0.00" in facts[2]
    assert "Open payment requested" in facts[3]
    assert "Refunded 3.00 GBP" in facts[4]
    assert "?at=4" in pages[2]


async def test_what_strangers_write_is_text_and_never_markup(
    client: httpx.AsyncClient, pay: Pay, database: Database
) -> None:
    evil = "<script>alert(1)</script>"
    location = await pay()
    async with transaction(database) as tx:
        for query in (
            "UPDATE payment_attempts SET error = :evil, gateway_ref = :evil",
            "UPDATE orders SET ship_to = jsonb_set(ship_to, '{name}', to_jsonb(:evil ::text))",
            "UPDATE order_events SET data = data || jsonb_build_object('note', :evil ::text)",
        ):
            await tx.execute(text(query), {"evil": evil})

    page = await client.get(f"/ops/orders/{id_of(location)}")
    listed = await client.get("/ops/orders", params={"q": evil})

    for answer in (page, listed):
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert(1)" in answer.text


# An apple costs 500, and support gives back 10,000 of an order.
@pytest.mark.parametrize(
    ("apples", "given_back", "field"),
    [
        (20, 0, 'min="1" max="10000" step="1"></label>'),
        (40, 0, 'min="1" max="10000" step="1" required></label>'),
        (40, 9_000, 'min="1" max="1000" step="1" required></label>'),
        (40, 10_000, None),
    ],
)
async def test_support_is_offered_what_it_may_give_back(  # noqa: PLR0913, PLR0917 - parts
    client: httpx.AsyncClient,
    app: Litestar,
    pay: Pay,
    apples: int,
    given_back: int,
    field: str | None,
) -> None:
    location = await pay(lines=[{"sku": "APPLE", "quantity": apples}])
    if given_back:
        refund = {"reason": "duplicate", "amount_minor": given_back}
        await ask(client, f"{location}/refunds", refund)
    support = (await a_person(app, Role.SUPPORT)).headers

    page = (await client.get(f"/ops/orders/{id_of(location)}", headers=support)).text
    ops = (await client.get(f"/ops/orders/{id_of(location)}")).text

    assert (f'data-api="POST {location}/cancel"' in page) is (apples == 20)
    assert (f'data-api="POST {location}/refunds"' in page) is (field is not None)
    assert field is None or field in page
    assert ('id="above"' in page) is (apples > 20)
    assert f'data-api="POST {location}/cancel"' in ops
    assert 'id="above"' not in ops


async def test_amounts_have_the_digits_of_their_currency(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put_products(database, APPLE=1)
    answer = await post_order(client, ("APPLE", 1))
    order_id = id_of(answer.headers["location"])
    await rows_of(
        database,
        "UPDATE orders SET currency = 'JPY', total_minor = 123456 WHERE id = :id RETURNING id",
        id=UUID(order_id),
    )

    page = (await client.get(f"/ops/orders/{order_id}")).text

    assert "123,456 JPY" in page


async def test_lines_say_what_they_are_and_where_they_lie(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put_products(database, APPLE=5)
    for place, quantity in (("north", 2), ("south", 2)):
        await client.put(f"/v1/locations/{place}", json={"name": place, "country": "GB"})
        received = {"quantity": quantity, "location": place}
        await ask(client, "/v1/stock/APPLE/receipts", received)
    answer = await post_order(client, ("APPLE", 9), allow_split=True)
    await drain_inventory(database)

    order_id = id_of(answer.headers["location"])
    page = (await client.get(f"/ops/orders/{order_id}")).text
    [line] = re.findall(r"<tr>(?:(?!<tr>).)*/ops/stock/APPLE.*?</tr>", page)
    await ask(client, f"/v1/orders/{order_id}/cancel", {})
    cancelled = (await client.get(f"/ops/orders/{order_id}")).text

    assert "2 at north, 2 at south, 5 at none" in line
    assert "2 at north" not in cancelled


async def test_backordered_order_says_what_it_lacks_and_leads_to_that_stock(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put_products(database, APPLE=1)
    await client.put("/v1/stock/APPLE/backorders", json={"max": 7})
    await ask(client, "/v1/stock/APPLE/incoming", {"quantity": 9, "expected_on": "2099-12-01"})
    answer = await post_order(client, ("APPLE", 6))
    await drain_inventory(database)

    page = (await client.get(f"/ops/orders/{id_of(answer.headers['location'])}")).text
    shelf = (await client.get("/ops/stock/APPLE")).text

    assert "6 of APPLE wanted" in page
    assert "<dt>Expected on</dt><dd>2099-12-01</dd>" in page
    assert 'id="remedy" href="/ops/stock/APPLE">Stock of APPLE' in page
    assert 'href="/ops/orders?q=APPLE&amp;status=backordered"' in shelf


async def test_open_payment_is_offered_to_be_looked_up(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank
) -> None:
    location = await lost(client, database, settings, bank)

    page = (await client.get(f"/ops/orders/{id_of(location)}")).text

    assert f'data-api="POST /v1/orders/{id_of(location)}/lookup"' in page
    assert "The answer was lost." in page


@pytest.mark.parametrize("path", ["nothing", "01a1fc38-e824-799d-91fa-a3621629b8c6"])
async def test_order_that_does_not_exist_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/ops/orders/{path}")).status_code == 404


async def test_orders_are_found_by_whatever_one_has_of_them(
    client: httpx.AsyncClient, pay: Pay, database: Database
) -> None:
    location = await pay(email="Eve@example.com")
    other = await pay()
    async with transaction(database) as tx:
        found = await tx.execute(
            text("SELECT id, gateway_ref FROM payment_attempts WHERE order_id = :id"),
            {"id": UUID(id_of(location))},
        )
        [(attempt_id, gateway_ref)] = found.all()

    async def search(q: str, **more: str) -> str:
        return (await client.get("/ops/orders", params={"q": q, **more})).text

    for q in (id_of(location), "Eve@example.com", gateway_ref, str(attempt_id)):
        page = await search(q)
        assert f"/ops/orders/{id_of(location)}" in page, q
        assert f"/ops/orders/{id_of(other)}" not in page, q
    for q in ("APPLE", "apple", "", id_of(other)[:8]):
        assert f"/ops/orders/{id_of(other)}" in await search(q), q
    assert "No order is found" in await search("APPLE", status="cancelled")
    assert id_of(location) in await search("", before=id_of(other))
    assert "No order is found" in await search("nobody@example.com")


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (
            "POST /v1/orders/1/cancel",
            Remedy("Cancel it", operation="POST /v1/orders/1/cancel"),
        ),
        (
            "POST /v1/tasks/7/replay",
            Remedy("Replay it", operation="POST /v1/tasks/7/replay"),
        ),
        ("POST /v1/orders/1/resolve", Remedy("Resolve", href="#resolve")),
        ("POST /v1/orders/1/payment-method", Remedy("POST /v1/orders/1/payment-method")),
        ("PUT /v1/stock/APPLE", Remedy("Stock of APPLE", href="/ops/stock/APPLE")),
        ("POST /v1/stock/APPLE/receipts", Remedy("Stock of APPLE", href="/ops/stock/APPLE")),
        ("POST /v1/stock/{sku}/transfers", Remedy("Stock of its lines", href="#lines")),
        ("PUT /v1/queues/payments", Remedy("Queue payments", href="/ops/queues")),
        ("start a clock process", Remedy("start a clock process")),
    ],
)
def test_remedy_is_a_button_a_link_or_a_word(action: str, expected: Remedy) -> None:
    told = Explanation("It waits.", datetime.now(UTC), Owner.STAFF, action, Code.REVIEW, "staff")

    assert remedy(told) == expected
