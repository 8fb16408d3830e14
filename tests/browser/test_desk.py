"""The order side with real clicks: found, seen as it was, cancelled, resolved, counted."""

from uuid import UUID

import pytest
from playwright.async_api import Page, Route, expect

from db import locations
from db.engine import Database, transaction
from db.locations import LocationView
from domain.payment import Unknown
from ops.config import Settings
from tests.bank import Bank, bank
from tests.builders import a_placement, place, put_products
from tests.people import rows_of
from tests.records import make_due, sent_long_ago
from tests.stages import drain_inventory, drain_payments

__all__ = ["bank"]

EMAIL = "carol@example.com"


@pytest.fixture
async def order_id(database: Database) -> UUID:
    """An order that holds stock."""
    await put_products(database, APPLE=10)
    [order_id] = await place(database, a_placement(("APPLE", 2), email=EMAIL))
    await drain_inventory(database)
    return order_id


async def go_ahead(page: Page) -> None:
    await page.get_by_role("dialog").get_by_role("button", name="Go ahead").click()


async def test_order_is_found_seen_as_it_was_and_cancelled(
    inside: Page, database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await inside.get_by_role("link", name="Orders", exact=True).click()
    await inside.get_by_role("searchbox").fill(EMAIL)
    await inside.keyboard.press("Enter")
    await inside.get_by_role("link", name=str(order_id)).click()
    await expect(inside.locator("#why .explain")).to_contain_text("paid")

    await inside.locator("#story").get_by_role("link", name="2", exact=True).click()
    await expect(inside.locator("#past")).to_contain_text("held")
    await inside.get_by_role("link", name="Event after").click()
    await expect(inside.locator("#past")).to_contain_text("committed")
    await inside.get_by_role("link", name="Back to now").click()
    await inside.get_by_role("button", name="Cancel the order").click()
    await go_ahead(inside)

    await expect(inside.get_by_role("status")).to_contain_text("Cancelled.")
    await expect(inside.locator("#story")).to_contain_text("order cancelled")
    await expect(inside.locator("#story tr", has_text="order cancelled")).to_contain_text("ops ann")
    assert await rows_of(database, "SELECT status FROM orders") == [("cancelled",)]


async def test_payment_in_review_is_looked_up_and_resolved(
    inside: Page, database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    bank.answers.append(Unknown("The answer was lost."))
    await drain_payments(database, settings, bank)
    await sent_long_ago(database, order_id)
    bank.found.append(Unknown("The gateway is mute."))
    await make_due(database)
    await drain_payments(database, settings, bank)
    due = "SELECT run_at <= now() FROM tasks WHERE queue = 'payments' AND state = 'ready'"

    await inside.get_by_role("link", name="Payments", exact=True).click()
    row = inside.locator("#reviews tr", has_text=str(order_id))
    await expect(row).to_contain_text("The gateway is mute.")
    assert await rows_of(database, due) == [(False,)]
    await row.get_by_role("button", name="Look up now").click()
    await expect(inside.get_by_role("status")).to_contain_text("It is looked up now.")
    assert await rows_of(database, due) == [(True,)]
    await row.get_by_text("Resolve").first.click()
    await row.get_by_label("How one knows").fill("Their support says so.")
    await row.get_by_role("button", name="Resolve").click()
    await go_ahead(inside)

    await expect(inside.locator("#reviews")).to_contain_text("No payment waits for a person")
    assert await rows_of(database, "SELECT status FROM orders") == [("cancelled",)]


async def test_stock_is_adjusted_with_a_reason_and_says_why_it_is_what_it_is(
    inside: Page, database: Database, order_id: UUID
) -> None:
    del order_id
    await inside.goto("/ops/stock?q=APP")
    await inside.get_by_role("link", name="APPLE").click()
    await expect(inside.locator("#shelf .explain")).to_contain_text("8 are for sale: 10 on hand")

    await inside.get_by_label("How much more, or less").fill("-3")
    await inside.get_by_label("Reason").fill("Broken in transit.")
    await inside.get_by_role("button", name="Adjust").click()
    await go_ahead(inside)

    await expect(inside.locator("#shelf .explain")).to_contain_text("5 are for sale: 7 on hand")
    await expect(inside.locator("#moved tr", has_text="Broken in transit.")).to_contain_text("-3")
    query = "SELECT on_hand_delta, note FROM stock_movements WHERE cause = 'adjustment'"
    assert await rows_of(database, query) == [(-3, "Broken in transit.")]


async def test_goods_are_received_at_a_location_and_transferred_to_none(
    inside: Page, database: Database, order_id: UUID
) -> None:
    del order_id
    async with transaction(database) as tx:
        await locations.put(tx, LocationView("north", "North", "GB", None, 0, version=0))
    await inside.goto("/ops/stock/APPLE")
    receive, transfer = inside.locator("#receive"), inside.locator("#transfer")

    await receive.get_by_label("How much came in").fill("7")
    await receive.get_by_label("Where it is put").select_option("north")
    await receive.get_by_role("button", name="Receive").click()
    await go_ahead(inside)
    await expect(inside.locator("#places tr", has_text="north")).to_contain_text("7")
    await transfer.get_by_label("How much goes").fill("3")
    await transfer.get_by_label("From").select_option("north")
    await transfer.get_by_label("Why it goes").fill("To the shop window.")
    await transfer.get_by_role("button", name="Transfer").click()
    await go_ahead(inside)

    await expect(inside.locator("#places tr", has_text="north")).to_contain_text("4")
    await expect(inside.locator("#moved")).to_contain_text("To the shop window.")


async def test_gateway_is_taken_out_of_service_and_released(
    inside: Page, database: Database
) -> None:
    await inside.goto("/ops/payments")
    held = "SELECT gateway, forced FROM gateway_switches"
    form = inside.locator("#hold-stripe")

    await form.get_by_label("Hold it").select_option("open")
    await form.get_by_label("Why").fill("They are moving.")
    await form.get_by_role("button", name="Hold").click()
    await go_ahead(inside)
    await expect(inside.locator("#switch-stripe")).to_contain_text("Held open by ann@example.com")
    assert await rows_of(database, held) == [("stripe", "open")]
    await form.get_by_label("Why").fill("They moved.")
    await form.get_by_role("button", name="Hold").click()
    await go_ahead(inside)

    await expect(inside.locator("#switch-stripe")).to_have_count(0)
    assert await rows_of(database, held) == []


async def test_refund_whose_answer_was_lost_is_made_once_however_often_it_is_sent(
    inside: Page, database: Database, settings: Settings, bank: Bank, order_id: UUID
) -> None:
    await drain_payments(database, settings, bank)
    await inside.goto(f"/ops/orders/{order_id}")
    sent: list[int] = []

    async def lose_the_first(route: Route) -> None:
        answer = await route.fetch()
        sent.append(answer.status)
        await (route.abort() if len(sent) == 1 else route.fulfill(response=answer))

    await inside.route("**/refunds", lose_the_first)
    for told in ("It is not known whether it happened", "The refund is asked for."):
        await inside.locator("#refund").get_by_label("Amount").fill("100")
        await inside.locator("#refund").get_by_role("button", name="Refund").click()
        # What is shown is rendered anew between the two, as what it shows has changed.
        async with inside.expect_response(f"**/ops/orders/{order_id}"):
            await go_ahead(inside)
        await expect(inside.get_by_role("status")).to_contain_text(told)
        await expect(inside.locator("#story")).to_contain_text("payment requested")

    refunds = "SELECT amount_minor FROM payment_attempts WHERE kind = 'refund'"
    assert (len(set(sent)), await rows_of(database, refunds)) == (1, [(100,)])
