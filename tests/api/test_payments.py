"""Captures, refunds, voids, another payment method, and what is shown of them."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from db.engine import Database, transaction
from db.ids import new_id
from domain.payment import Declined
from ops.config import Settings
from tests.api.paid import TOTAL, Pay, ask, money
from tests.api.routes import STAFF
from tests.bank import AUTHENTICATED, DECLINED, Bank
from tests.builders import put_products
from tests.records import assert_sound, timeline
from tests.stages import drain_payments, settle_payments
from tests.web import assert_problem, post_order, rows


@pytest.fixture(autouse=True)
async def catalogue(database: Database) -> None:
    await put_products(database, APPLE=100)


# Captures, refunds and voids


async def test_money_is_captured_refunded_and_released_in_parts(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    location = await pay(capture="manual")
    assert await money(client, location) == (TOTAL, 0, 0, TOTAL, 0)

    asked = [await ask(client, f"{location}/capture", {"amount_minor": 300})]
    await settle_payments(database, settings, bank)
    asked.append(await ask(client, f"{location}/capture", {"amount_minor": 200}))
    await settle_payments(database, settings, bank)
    refund = {"amount_minor": 100, "currency": "GBP", "reason": "duplicate"}
    asked.append(await ask(client, f"{location}/refunds", refund))
    await settle_payments(database, settings, bank)
    asked.append(await ask(client, f"{location}/void", {}))
    await settle_payments(database, settings, bank)

    assert [a.status_code for a in asked] == [202] * 4
    assert {a.headers["location"] for a in asked} == {f"{location}/payments"}
    told = [(a.json()["kind"], a.json()["state"], a.json()["amount_minor"]) for a in asked]
    assert told == [
        ("capture", "created", 300),
        ("capture", "created", 200),
        ("refund", "created", 100),
        ("void", "created", 500),
    ]
    assert await money(client, location) == (TOTAL, 500, 100, 0, 400)
    order_id = UUID(location.rpartition("/")[2])
    assert (bank.takings(order_id), bank.held(order_id)) == ([300, 200, -100], 0)
    await assert_sound(database)


async def test_what_is_asked_for_may_not_be_asked_for_again(
    client: httpx.AsyncClient, pay: Pay
) -> None:
    location = await pay()

    first = await ask(client, f"{location}/refunds", {"reason": "duplicate", "amount_minor": 900})
    second = await ask(client, f"{location}/refunds", {"reason": "duplicate", "amount_minor": 101})

    assert first.status_code == 202
    assert_problem(second, 422, "amount_not_available", "amount_minor")
    assert "100 GBP" in second.json()["detail"]
    assert await money(client, location) == (TOTAL, TOTAL, 0, 0, 100)


@pytest.mark.parametrize("path", ["capture", "refunds", "void"])
async def test_nothing_is_moved_of_an_order_that_was_never_paid_or_has_ended(
    client: httpx.AsyncClient, database: Database, pay: Pay, path: str
) -> None:
    cancelled = await pay(payment_method=DECLINED)
    placed = (await post_order(client, ("APPLE", 2))).headers["location"]
    body = {"reason": "duplicate"} if path == "refunds" else {}
    before = await rows(database)

    for location in (placed, cancelled):
        assert_problem(await ask(client, f"{location}/{path}", body), 409, "illegal_move")
    assert await rows(database) == before


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("capture", {}, 422, "amount_not_available", "amount_minor"),
        ("capture", {"amount_minor": 1}, 422, "amount_not_available", "amount_minor"),
        ("capture", {"amount_minor": 0}, 400, "invalid_request", "amount_minor"),
        ("capture", {"final": 1}, 400, "invalid_request", "final"),
        ("void", {}, 422, "amount_not_available", None),
        ("void", {"amount_minor": 1}, 400, "invalid_request", "amount_minor"),
        ("refunds", {}, 400, "invalid_request", "reason"),
        ("refunds", {"reason": "because"}, 400, "invalid_request", "reason"),
        (
            "refunds",
            {"reason": "duplicate", "amount_minor": 0},
            400,
            "invalid_request",
            "amount_minor",
        ),
        (
            "refunds",
            {"reason": "duplicate", "amount_minor": -1},
            400,
            "invalid_request",
            "amount_minor",
        ),
        (
            "refunds",
            {"reason": "duplicate", "amount_minor": TOTAL + 1},
            422,
            "amount_not_available",
            "amount_minor",
        ),
        (
            "refunds",
            {"reason": "duplicate", "amount_minor": 1, "currency": "EUR"},
            422,
            "currency_mismatch",
            "currency",
        ),
        ("refunds", {"reason": "duplicate", "currency": "XXX"}, 400, "invalid_request", "currency"),
    ],
)
async def test_what_may_not_be_asked_of_a_paid_order_is_refused_by_its_rule(  # noqa: PLR0913, PLR0917 - a table
    client: httpx.AsyncClient,
    database: Database,
    pay: Pay,
    path: str,
    body: dict[str, Any],
    status: int,
    code: str,
    field: str | None,
) -> None:
    location = await pay()
    before = await rows(database)

    answer = await ask(client, f"{location}/{path}", body)

    assert_problem(answer, status, code, field)
    assert await rows(database) == before


@pytest.mark.parametrize("path", ["capture", "refunds", "void", "payment-method"])
async def test_an_order_that_is_not_there_has_no_money(
    client: httpx.AsyncClient, database: Database, path: str
) -> None:
    bodies = {"refunds": {"reason": "duplicate"}, "payment-method": {"payment_method": "pm_a"}}
    before = await rows(database)

    answer = await ask(client, f"/v1/orders/{new_id()}/{path}", bodies.get(path, {}))

    assert_problem(answer, 404, "not_found")
    assert await rows(database) == before


# Showing


async def test_the_secret_of_a_payment_to_be_authenticated_is_for_its_customer_alone(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, pay: Pay
) -> None:
    location = await pay(by=stranger, payment_method=AUTHENTICATED)

    mine = (await stranger.get(f"{location}/payments")).json()["attempts"]
    theirs = (await client.get(f"{location}/payments", headers=STAFF)).json()["attempts"]

    [secret] = [attempt["client_secret"] for attempt in mine]
    assert [(attempt["state"], bool(secret)) for attempt in mine] == [("action_required", True)]
    assert [attempt["client_secret"] for attempt in theirs] == [None]
    for path in (location, f"{location}/events", f"{location}/explain", "/v1/orders"):
        assert secret not in (await client.get(path, headers=STAFF)).text


async def test_payments_of_an_order_that_is_not_there_are_a_404(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get(f"/v1/orders/{new_id()}/payments"), 404, "not_found")


async def test_void_after_a_capture_that_never_happened_shows_all_that_it_released(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    location = await pay(capture="manual")
    await ask(client, f"{location}/capture", {"amount_minor": 300})
    await ask(client, f"{location}/void", {})
    bank.answers.append(Declined("processing_error"))

    await settle_payments(database, settings, bank)

    shown = (await client.get(f"{location}/payments")).json()["attempts"]
    assert [(a["kind"], a["state"], a["amount_minor"]) for a in shown[1:]] == [
        ("capture", "declined", 300),
        ("void", "succeeded", TOTAL),
    ]
    told = (await client.get(f"{location}/events")).json()["events"]
    assert (told[-1]["kind"], told[-1]["data"]["amount_minor"]) == ("payment_voided", TOTAL)
    await assert_sound(database)


# Another payment method


async def change(
    client: httpx.AsyncClient, location: str, method: str = "pm_card_visa"
) -> httpx.Response:
    path, key = f"{location}/payment-method", {"Idempotency-Key": str(new_id())}
    return await client.post(path, json={"payment_method": method}, headers=key)


async def test_a_declined_order_that_is_held_is_charged_to_another_method(
    client: httpx.AsyncClient, database: Database, settings: Settings, bank: Bank, pay: Pay
) -> None:
    location = await pay(payment_method=DECLINED, on_decline="hold")

    changed = await change(client, location)
    early = await change(client, location)
    await drain_payments(database, settings, bank)

    assert (changed.status_code, changed.headers["location"]) == (202, location)
    assert changed.json()["status"] == "reserved"
    assert_problem(early, 409, "payment_in_progress")
    order_id = UUID(location.rpartition("/")[2])
    assert bank.takings(order_id) == [TOTAL]
    assert (await timeline(database, order_id))[-3:] == [
        "payment_declined",
        "payment_method_changed",
        "order_paid",
    ]


async def test_an_order_whose_reservation_ran_out_takes_no_other_method_before_the_clock_ends_it(
    client: httpx.AsyncClient, database: Database, pay: Pay
) -> None:
    location = await pay(payment_method=DECLINED, on_decline="hold")
    async with transaction(database) as tx:
        await tx.execute(text("UPDATE orders SET reserved_until = now() - interval '1 ms'"))
    before = await rows(database)

    assert_problem(await change(client, location), 409, "illegal_move")
    assert await rows(database) == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "illegal_move"),
        ({"payment_method": DECLINED}, "illegal_move"),
        ({"payment_method": AUTHENTICATED, "on_decline": "hold"}, "payment_in_progress"),
        ({"payment_method": AUTHENTICATED}, "illegal_move"),
    ],
)
async def test_any_other_order_keeps_its_method(
    client: httpx.AsyncClient, database: Database, pay: Pay, changes: dict[str, Any], code: str
) -> None:
    location = await pay(**changes)
    before = await rows(database)

    assert_problem(await change(client, location), 409, code)
    assert await rows(database) == before


async def test_a_card_number_is_no_payment_method(client: httpx.AsyncClient, pay: Pay) -> None:
    location = await pay(payment_method=DECLINED, on_decline="hold")

    answer = await change(client, location, "4242 4242 4242 4242")

    assert_problem(answer, 400, "card_number_refused", "payment_method")
